package simulator

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"time"
)

// relay is EvoLink, which sells the same models under names, words and bodies of its own (its API manual: "Wan 2.6" and
// "Wan 2.7 Reference Video", "Get Task Detail", "Get Credits", "File Upload"). It has no call to cancel a task, and no limits on
// calls per second are published.
type relay struct{}

func (relay) routes(s *Server, add func(pattern string, methods byMethod)) {
	post := func(op operation, handle func(*call) answer, checks ...func(*call) *refusal) byMethod {
		return byMethod{http.MethodPost: s.operation(op, handle, checks...)}
	}
	get := func(op operation, handle func(*call) answer, checks ...func(*call) *refusal) byMethod {
		return byMethod{http.MethodGet: s.operation(op, handle, checks...)}
	}
	add("/v1/videos/generations", post(opCreate, s.createRelayed, s.receive, s.authenticate, s.parseRelayed, s.readMarkers))
	add("/v1/tasks", get(opList, s.listRelayed, s.authenticate))
	add("/v1/tasks/{id}", get(opGet, s.getRelayed, s.noteRead, s.authenticate, s.checkTaskID))
	add("/v1/tasks/batch", post(opBatch, s.batchRelayed, s.readBatch, s.authenticate))
	add("/v1/credits", get(opCredits, s.credits, s.authenticate))

	add("/api/v1/files/upload/base64", post(opUpload, s.filed(s.uploadBase64), s.authenticate))
	add("/api/v1/files/upload/stream", post(opUpload, s.filed(s.uploadStream), s.authenticate))
	add("/api/v1/files/upload/url", post(opUpload, s.filed(s.uploadURL), s.authenticate))
	file := s.operation(opFile, s.file)
	add("/api/v1/files/download/{id}", byMethod{http.MethodGet: file, http.MethodHead: file})
	add("/files/{id}/{name}", byMethod{http.MethodGet: file, http.MethodHead: file})
}

func (relay) jsonType(operation) string { return "application/json; charset=utf-8" }

func (relay) faults() []fault { return relayFaults() }

func (relay) calls() []operation {
	return []operation{opCreate, opGet, opList, opBatch, opCredits, opUpload, opResult, opCallback}
}

func (relay) metered() []operation { return []operation{opCreate, opGet, opList, opBatch} }

func (relay) limits() map[operation]int { return nil }

const taskPrefix = "task-unified-"

// newTaskID: task-unified-<unix time>-<8 random characters>, as in every example.
func (relay) newTaskID(now time.Time) string {
	const space = 36 * 36 * 36 * 36 * 36 * 36 * 36 * 36
	n, err := rand.Int(rand.Reader, big.NewInt(space))
	if err != nil {
		panic(fmt.Sprintf("simulator: no random numbers: %v", err)) // crypto/rand never fails
	}
	return fmt.Sprintf("%s%d-%08s", taskPrefix, now.Unix(), n.Text(36))
}

var taskIDText = lazily(`^` + taskPrefix + `[A-Za-z0-9_-]+$`)

func (s *Server) checkTaskID(c *call) *refusal {
	if !taskIDText().MatchString(c.r.PathValue("id")) {
		return &refusal{http.StatusBadRequest, "invalid_task_id", "Invalid task ID format. A task ID starts with " + taskPrefix + "."}
	}
	return nil
}

type relayErrorBody struct {
	Error relayError `json:"error"`
}

type relayError struct {
	Code    any    `json:"code"` // a string, in older envelopes a number
	Message string `json:"message"`
	Type    string `json:"type"`
	Param   string `json:"param,omitempty"`
}

// refuse writes the envelope of an HTTP error. A clip's link leads to a storage, which speaks XML.
func (relay) refuse(c *call, r refusal) answer {
	if c.op == opResult {
		return c.refuseInXML(r)
	}
	r = translated(r)
	if c.op != opCreate { // queries have two codes of their own
		switch r.code {
		case "insufficient_quota":
			r.code = "quota_exceeded"
		case "model_access_denied":
			r.code = "permission_denied"
		}
	}
	return c.json(r.status, relayErrorBody{relayError{Code: r.code, Message: r.message, Type: errorType(c.op, r)}})
}

// refuseField tells which field of an order is wrong.
func (c *call) refuseField(wrong *fieldProblem) answer {
	return c.json(http.StatusBadRequest, relayErrorBody{relayError{
		Code: "invalid_request", Message: wrong.message, Type: "invalid_request_error", Param: wrong.param,
	}})
}

// translated puts what the parts that are common to all providers refuse with into the relay's words.
func translated(r refusal) refusal {
	switch r.code {
	case "InvalidApiKey":
		r.code = "unauthorized"
	case "BadRequest.TooLarge":
		r.status, r.code = http.StatusRequestEntityTooLarge, "request_too_large"
	case "NotFound":
		r.code = "not_found"
	case "AccessDenied":
		r.code = "permission_denied"
	case "InternalError":
		r.code = "internal_error"
	case "InvalidParameter":
		r.code = "invalid_request"
	}
	if r.status == http.StatusMethodNotAllowed { // there is one answer for whatever is not served
		return refusal{http.StatusNotFound, "not_found", r.message}
	}
	return r
}

// errorType is error.type by status, as the tables of the pages have it; a query is throttled with a type of its own.
func errorType(op operation, r refusal) string {
	switch {
	case r.status == http.StatusUnauthorized:
		return "authentication_error"
	case r.status == http.StatusPaymentRequired:
		return "insufficient_quota"
	case r.status == http.StatusRequestEntityTooLarge:
		return "request_too_large_error"
	case r.status == http.StatusTooManyRequests && op == opCreate:
		return "rate_limit_error"
	case r.status == http.StatusTooManyRequests:
		return "evo_api_error"
	case r.status == http.StatusBadGateway:
		return "upstream_error"
	case r.status == http.StatusServiceUnavailable:
		return "service_unavailable_error"
	case r.status >= http.StatusInternalServerError:
		return "api_error"
	}
	return "invalid_request_error"
}

// failure: the relay tells less of what is wrong with a reference than the service behind it.
func (relay) failure(p *problem) *problem {
	out := *p
	switch p.code {
	case "InvalidParameter.DataInspection":
		out.code = "resource_not_found"
	case "InvalidImage.FileFormat":
		out.code = "image_processing_error"
	case "InvalidImage.ImageSize":
		out.code = "image_dimension_mismatch"
	default:
		if strings.HasPrefix(p.code, "Invalid") {
			out.code = "invalid_parameters"
		}
	}
	return &out
}
