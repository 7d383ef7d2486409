package tools

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"r2v-mcp/internal/video"
)

// A call whose answer was lost is sent again, and by then its files may be out of reach, or who was to be told: a signed link has ended, a file was moved.
// Its refusal must not read as "nothing was bought".

// refused tells what is wrong, unless nothing but a guard, a file or a receiver of callbacks is in the way of what this call has bought
// before: a guard is for buying.
func (s *Set) refused(ctx context.Context, in generateArguments, q *quote, found []video.Problem) (*generateAnswer, error) {
	no := &refusal{
		what: fmt.Sprintf("Refused before anything was sent: %d problem(s).", len(found)), problems: found, charged: video.NotCharged,
		next: "Correct the arguments and call generate_r2v again; estimate_cost checks a request without buying it.",
	}
	ofPlace := func(p video.Problem) bool { return p.OfFile || p.Field == callbackField } // which may have been good before
	beyond := func(p video.Problem) bool { return p.Field != "max_cost" && p.Field != "cost" && !ofPlace(p) }
	if slices.ContainsFunc(found, beyond) || in.IdempotencyKey == "" && !slices.ContainsFunc(found, ofPlace) {
		return nil, no
	}
	if q.hasFiles() { // those that can be read tell one request from another
		reading, cancel := context.WithTimeout(ctx, min(video.LongestCall, s.MaxWait)*3/4)
		defer cancel()
		_ = s.Media.Sum(reading, q.report.Request.References)
	}
	return s.orEarlier(ctx, in, q, no)
}

// orEarlier answers with the task that this call has bought, as far as it can be told without the files; else it refuses, and names
// what may be the same.
func (s *Set) orEarlier(ctx context.Context, in generateArguments, q *quote, no *refusal) (*generateAnswer, error) {
	missing := q.filesMissing()
	task, _, err := s.Tasks.Create(ctx, video.Order{
		Request: q.report.Request, IdempotencyKey: in.IdempotencyKey, Fingerprint: q.report.Fingerprint(), Replay: true, AnyFiles: missing,
		Owner: s.owner(ctx),
	})
	err = s.told(err)
	known, ok := errors.AsType[*video.Error](err)
	switch {
	case err == nil && (!missing || q.alike(&task)):
		return s.anyway(ctx, task, q, no), nil
	case err == nil:
		no.what += fmt.Sprintf(" idempotency_key %s belongs to task %s, which was another request.", in.IdempotencyKey, task.ID)
		no.next = fmt.Sprintf("Call get_task with task_id %s for the earlier clip; correct the arguments and give a new idempotency_key to buy this one.", task.ID)
	case ok && (known.Code == "IdempotencyKeyReused" || known.Charged == video.ChargedUnknown):
		no.what += " " + known.Message + "."
		no.next, no.charged = known.Advice, known.Charged
	case ok && known.Code == "LedgerUnavailable": // and with it, what was bought before
		no.what += " Whether this call has bought its clip before cannot be told: " + known.Message + "."
		no.charged, no.cause = video.ChargedUnknown, err
	case missing:
		s.mention(ctx, q, no)
	}
	return nil, no
}

// anyway is the answer of a call that has bought its clip before, whatever is in its way now.
func (s *Set) anyway(ctx context.Context, task video.Task, q *quote, no *refusal) *generateAnswer {
	answer := s.bought(ctx, task, true, q)
	if len(no.problems) == 0 {
		answer.Warnings = append(answer.Warnings, "now it would be refused: "+no.what)
	}
	for _, p := range no.problems {
		answer.Warnings = append(answer.Warnings, "now it would be refused: "+p.Field+": "+p.Wrong)
	}
	if q.filesMissing() {
		answer.Warnings = append(answer.Warnings, "since that file cannot be read now, the task is known by its idempotency_key and by all else that was asked for")
	}
	return answer
}

// filesMissing reports whether there are local files whose content is not known: it is what tells them apart.
func (q *quote) filesMissing() bool {
	missing := func(m *video.Medium) bool { return m != nil && m.Local && m.Sum == "" }
	return slices.ContainsFunc(q.report.Request.References, func(ref video.Reference) bool {
		return missing(ref.Medium) || missing(ref.VoiceMedium)
	})
}

// alike reports whether a task was asked for with the same request, as far as that can be told without local files.
func (q *quote) alike(task *video.Task) bool {
	now, then := q.report.Request, task.Request
	if len(now.References) != len(then.References) {
		return false
	}
	for i, ref := range now.References {
		old := then.References[i]
		if !q.sameAddress(ref.URL, ref.Medium, old.URL) || !q.sameAddress(ref.VoiceURL, ref.VoiceMedium, old.VoiceURL) || ref.Kind != "" && ref.Kind != old.Kind {
			return false
		}
	}
	now.References, then.References = nil, nil
	return (&video.Report{Request: now, Model: q.report.Model}).Fingerprint() == (&video.Report{Request: then, Model: q.report.Model}).Fingerprint()
}

// sameAddress compares an address with one that was sent. What was sent of a local file is the service's own address of it, which with
// some services is one like any other, or the picture itself.
func (q *quote) sameAddress(address string, seen *video.Medium, sent string) bool {
	if seen != nil && seen.Local {
		plain := !slices.Contains(q.report.Model.Media["video"].Schemes, "oss") && strings.HasPrefix(sent, "https://")
		return plain || strings.HasPrefix(sent, "oss://") || strings.HasPrefix(sent, "data:")
	}
	return address == sent || strings.HasPrefix(address, "data:") && sent != "" && strings.HasPrefix(address, sent) // whose content is not kept
}

const (
	// held is how many of the newest tasks are held against a call whose files are out of reach, and mentioned how many are named.
	held, mentioned = 20, 3
)

// mention names the tasks that may be what this call has bought before, for an agent that lost the answer.
func (s *Set) mention(ctx context.Context, q *quote, no *refusal) {
	tasks, _, err := s.Tasks.List(ctx, video.Filter{Owner: s.owner(ctx), Limit: held})
	if err != nil {
		return // this refusal is about the call, not about others
	}
	var names []string
	for _, t := range tasks {
		if len(names) < mentioned && q.alike(&t) && remembered(&t) && t.Status != video.Failed && t.Status != video.Canceled {
			names = append(names, fmt.Sprintf("%s (%s, charged: %s)", t.ID, t.Status, t.Charged()))
		}
	}
	if len(names) > 0 {
		no.next = "The same but for its files was bought before: " + strings.Join(names, ", ") +
			". If this call repeats one of them, because its answer was lost, call get_task with it and buy nothing again. Otherwise: " + no.next
	}
}
