package provider

import (
	"fmt"
	"net/http"

	"r2v-mcp/internal/video"
)

// said is an error of a client, whichever: what was said, and what became of the request.
type said struct {
	code, message, requestID string

	status    int   // of HTTP, 0 when no answer came
	notSent   bool  // it never reached the service
	unknown   bool  // it may have been carried out
	transient bool  // asking again may go well
	cause     error // what went wrong below the API
}

// inOurWords tells what an error means for the money, and what to do. The advice for what was not sent is the adapter's.
func (s said) inOurWords(a advice, notSent string) *video.Error {
	out := &video.Error{Charged: video.NotCharged, Failure: video.Failure{
		Code: s.code, Message: s.message, Advice: a.text, Retryable: a.retryable || s.transient, RequestID: s.requestID,
	}}
	switch {
	case s.code != "":
	case s.status != 0:
		out.Code = fmt.Sprintf("HTTP %d %s", s.status, http.StatusText(s.status))
	default:
		out.Code = "NoAnswer"
	}
	if out.Message == "" && s.cause != nil {
		out.Message = s.cause.Error()
	}
	switch {
	case s.unknown:
		out.Charged, out.Advice, out.Retryable = video.ChargedUnknown, adviceUnknown, false
	case s.notSent:
		out.Code, out.Advice = "NotSent", notSent
	}
	return out
}

// unexpected is the error of a client that is none of its own: nobody can tell what it means.
func unexpected(err error) *video.Error {
	return &video.Error{Charged: video.ChargedUnknown, Failure: video.Failure{Code: "Unexpected", Message: err.Error(), Advice: adviceUnknown}}
}
