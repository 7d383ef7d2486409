package provider

import (
	"context"
	"strings"

	"r2v-mcp/internal/video"
)

const (
	// notPending is DashScope's code for a task that runs or has ended, and for an id that it does not know.
	notPending = "UnsupportedOperation"

	adviceNotPending = "The task is running or has ended. It cannot be stopped, and is billed if it succeeds: wait for it with get_task."
	adviceUncanceled = "Whether the task was cancelled is not known. Asking again is free: call cancel_task again, or see with get_task."
)

// Cancel stops a task that has not begun: see [Provider].
// Source: https://www.alibabacloud.com/help/en/model-studio/manage-asynchronous-tasks.
func (d *DashScope) Cancel(ctx context.Context, id string) error {
	err := d.client.CancelTask(ctx, id)
	if err == nil {
		return nil
	}
	e := d.fail(err)
	switch {
	case e.Code == notPending:
		e.Code, e.Charged, e.Retryable, e.Advice = "NotPending", video.NotCharged, false, adviceNotPending
	case e.Charged == video.ChargedUnknown:
		e.Charged, e.Retryable, e.Advice = video.NotCharged, true, adviceUncanceled
	default: // the words for a refused create would say that the clip, which may still be made, costs nothing
		e.Advice = strings.TrimPrefix(e.Advice, "Nothing was charged. ")
	}
	return e
}
