package upload

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"r2v-mcp/internal/video"
)

func refusal(code, message, advice string, retryable bool) error {
	return &video.Error{Charged: video.NotCharged, Failure: video.Failure{Code: code, Message: message, Advice: advice, Retryable: retryable}}
}

func stillUploading(there, total int64, again time.Duration) error {
	return refusal("StillUploading", fmt.Sprintf("%d of %d bytes of the local files are at the service", there, total),
		fmt.Sprintf("Nothing was bought. The upload goes on: send the same call again in %.0f s.", again.Seconds()), true)
}

func changed(f File) error {
	return refusal("FileChanged", f.Name+": "+errChanged.Error(), "Nothing was bought. Call again when nobody writes to the file any more.", true)
}

// unreadable tells why a file could not be read, without the folders that it is in.
func unreadable(f File, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return refusal("FileUnreadable", f.Name+": "+err.Error(), "Nothing was bought. See that the file is there and may be read, then call again.", false)
}

func tooSlow(f *flight) error {
	return refusal("UploadTooSlow", fmt.Sprintf("%s: %d of %d bytes were sent in %.0f minutes", f.file.Name, f.sent.Load(), f.file.Size, limit.Minutes()),
		"Nothing was bought. The line is too slow for this file: give a smaller one, or one at a public https address.", false)
}

func ending() error {
	return refusal("Ending", "the server is about to end", "Nothing was bought. Call again when it runs again.", true)
}

// known is an error as a *video.Error, which a provider's and a ledger's are already.
func known(err error) error {
	if e, ok := errors.AsType[*video.Error](err); ok {
		return e
	}
	return refusal("Unexpected", err.Error(), "Nothing was bought. Call again; if it stays like this, tell the user.", true)
}
