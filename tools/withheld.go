package tools

import (
	"errors"
	"strings"

	"r2v-mcp/internal/video"
)

// withheld is an error as callers elsewhere are told it, who can mend nothing of this machine, and the error that it is.
type withheld struct {
	shown *video.Error
	cause error
}

func (w *withheld) Error() string   { return w.shown.Error() }
func (w *withheld) Unwrap() []error { return []error{w.shown, w.cause} }

// ofLedger reports an error of the server's own ledger, whose words name places and settings of its machine.
func ofLedger(known *video.Error) bool {
	return known.Code == "LedgerUnavailable" || known.Code == "NotRecorded"
}

// told is an error as the caller may know it.
func (s *Set) told(err error) error {
	known, ok := errors.AsType[*video.Error](err)
	if !ok || !s.HidePaths || !ofLedger(known) {
		return err
	}
	shown := *known
	if known.Code == "NotRecorded" { // whose advice is about the task
		shown.Message, _, _ = strings.Cut(known.Message, ": ")
	} else {
		shown.Message, shown.Advice = "the server's ledger cannot be used now", "Tell the operator of this server; nothing was bought by this call, which may be sent again when it is mended."
	}
	return &withheld{&shown, err}
}

// uncovered is what an error really is, for the operator.
func uncovered(known *video.Error, err error) error {
	if hidden, ok := errors.AsType[*withheld](err); ok {
		return hidden.cause
	}
	return known
}
