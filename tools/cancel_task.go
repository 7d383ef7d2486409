package tools

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"r2v-mcp/internal/video"
	"r2v-mcp/schema"
)

type cancelTaskArguments struct {
	TaskID string `json:"task_id"`
}

type cancelAnswer struct {
	TaskID         string `json:"task_id"`
	ProviderTaskID string `json:"provider_task_id,omitempty"`
	Status         string `json:"status" catalogue:"statuses"`
	Charged        string `json:"charged" catalogue:"charged"`
	NextStep       string `json:"next_step"`
}

func (a *cancelAnswer) about() string { return a.TaskID }

func (s *Set) cancel(ctx context.Context, in cancelTaskArguments, problems []video.Problem, _ mcp.CallToolRequest) (*cancelAnswer, error) {
	id := strings.TrimSpace(in.TaskID)
	if problems = append(problems, checkTaskID(id, problems)...); len(problems) > 0 {
		return nil, &refusal{what: "No task was cancelled.", problems: problems, charged: video.NotCharged, next: "Call cancel_task with the task_id that generate_r2v returned; list_tasks shows it."}
	}
	task, err := s.Tasks.Cancel(ctx, s.owner(ctx), id)
	switch {
	case task.ID == "":
		return nil, s.notFound(err)
	case err != nil:
		return nil, s.uncancelled(&task, err)
	}
	out := &cancelAnswer{
		TaskID: task.ID, ProviderTaskID: task.ProviderTaskID, Status: string(task.Status), Charged: string(task.Charged()),
		NextStep: "Cancelled: nothing was charged. generate_r2v buys the clip anew, with a new idempotency_key if this one had your own.",
	}
	if task.Status != video.Canceled {
		out.NextStep = fmt.Sprintf("The service has accepted the cancellation but does not show it yet: call get_task with task_id %s until its status is CANCELED.", task.ID)
	}
	return out, nil
}

// uncancelled says why a task goes on, in which state it is, and what that means for the money: what the task costs is known
// from its state, whatever became of the cancellation.
func (s *Set) uncancelled(t *video.Task, err error) *refusal {
	what := "is not known to be cancelled"
	if known, ok := errors.AsType[*video.Error](err); ok && slices.Contains([]string{"NotPending", "BoughtElsewhere", "NotSupported"}, known.Code) {
		what = "was not cancelled"
	}
	r := s.refuse(fmt.Sprintf("Task %s %s; its status when last seen: %s.", t.ID, what, t.Status), err)
	r.charged, r.task = t.Charged(), t.ID
	return r
}

func (s *Set) cancelTask() (server.ServerTool, error) {
	arguments, err := schema.Arguments[cancelTaskArguments](s.Catalogue)
	if err != nil {
		return server.ServerTool{}, err
	}
	what := "Cancels a PENDING task, which costs nothing. A RUNNING one cannot be stopped."
	if s.NoCancel {
		what = "The service of this server can cancel nothing: says so."
	}
	return declare(s, declaration{
		name: "cancel_task", title: "Cancel a video clip",
		description: what,
		destructive: true, idempotent: true, openWorld: true,
	}, arguments, s.cancel)
}
