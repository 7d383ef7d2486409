package tools

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"r2v-mcp/internal/video"
)

// A call whose answer was lost is sent again, and by then its files may be out of reach: a signed link has ended, a file was moved.
// Its refusal must not read as "nothing was bought".

// refused tells what is wrong, unless nothing but a guard or a file is in the way of what this call has bought before: a guard is
// for buying.
func (s *Set) refused(ctx context.Context, in generateArguments, q *quote, found []video.Problem) (*generateAnswer, error) {
	no := &refusal{
		what: fmt.Sprintf("Refused before anything was sent: %d problem(s).", len(found)), problems: found, charged: video.NotCharged,
		next: "Correct the arguments and call generate_r2v again; estimate_cost checks a request without buying it.",
	}
	ofNow := func(p video.Problem) bool { return p.Field == "max_cost" || p.Field == "cost" || p.OfFile }
	if slices.ContainsFunc(found, func(p video.Problem) bool { return !ofNow(p) }) {
		return nil, no
	}
	return s.orEarlier(ctx, in, q, no)
}

// withoutFiles refuses a purchase whose local files could not be read.
func (s *Set) withoutFiles(ctx context.Context, in generateArguments, q *quote, err error) (*generateAnswer, error) {
	return s.orEarlier(ctx, in, q, refuse("The local files could not be read.", err))
}

// orEarlier answers with the task that a call with this key has bought, as far as it can be told without the files; else it
// refuses, and names what may be the same.
func (s *Set) orEarlier(ctx context.Context, in generateArguments, q *quote, no *refusal) (*generateAnswer, error) {
	if in.IdempotencyKey == "" {
		return nil, s.mention(ctx, q, no)
	}
	task, _, err := s.Tasks.Create(ctx, video.Order{
		Request: q.report.Request, IdempotencyKey: in.IdempotencyKey, Fingerprint: q.report.Fingerprint(), Replay: true, AnyFiles: q.filesUnknown(),
	})
	switch known, ok := errors.AsType[*video.Error](err); {
	case err == nil && (!q.filesUnknown() || alike(task.Request, q.report.Request)):
		answer := s.bought(task, true, q)
		if q.filesUnknown() {
			answer.Warnings = append(answer.Warnings, "not all files of this call can be read now: it is taken for the one that this idempotency_key has bought with, since everything else is the same")
		}
		return answer, nil
	case err == nil:
		no.what += fmt.Sprintf(" idempotency_key %s belongs to task %s, which was another request.", in.IdempotencyKey, task.ID)
	case ok && known.Code == "IdempotencyKeyReused":
		no.what += " " + known.Message + "."
	}
	return nil, s.mention(ctx, q, no)
}

// filesUnknown reports whether the fingerprint lacks what only the files tell: the content of local ones, and of others what they are.
func (q *quote) filesUnknown() bool {
	return slices.ContainsFunc(q.report.Request.References, func(ref video.Reference) bool {
		return ref.Medium != nil && (ref.Medium.Local || ref.Medium.Wrong != "" || ref.Medium.Unseen != "") || ref.VoiceMedium != nil && ref.VoiceMedium.Local
	})
}

// alike reports whether two requests are the same but for their files.
func alike(a, b video.Request) bool {
	if len(a.References) != len(b.References) || strings.TrimSpace(a.Prompt) != strings.TrimSpace(b.Prompt) {
		return false
	}
	for _, r := range []*video.Request{&a, &b} {
		r.References, r.Prompt = nil, ""
	}
	return reflect.DeepEqual(a, b)
}

// mentioned is how many of the newest tasks are held against a call that was refused for its files.
const mentioned = 20

// mention names a task that may be what this call has bought before, for an agent that lost the answer.
func (s *Set) mention(ctx context.Context, q *quote, no *refusal) error {
	if !slices.ContainsFunc(no.problems, func(p video.Problem) bool { return p.OfFile }) && !q.hasFiles() {
		return no
	}
	tasks, _, err := s.Tasks.List(ctx, video.Filter{Limit: mentioned})
	if err != nil {
		return no // which is about this call, not about others
	}
	for _, t := range tasks {
		if alike(t.Request, q.report.Request) && remembered(&t) && t.Status != video.Failed && t.Status != video.Canceled {
			no.next = fmt.Sprintf("If this call repeats one whose answer was lost: task %s (%s, charged: %s) is the same but for its files. Call get_task with it, and buy nothing again. Otherwise: %s",
				t.ID, t.Status, t.Charged(), no.next)
			break
		}
	}
	return no
}
