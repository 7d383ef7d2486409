package provider

import (
	"context"
	"fmt"
	"time"

	"r2v-mcp/dashscope"
	"r2v-mcp/internal/video"
)

const (
	// pageSize is what each page is asked to hold. The documented default is 10 and no maximum is documented; 100 is what
	// public clients of the service use.
	pageSize = 100
	// longestSpan is the documented distance of a list's two times.
	longestSpan = 24 * time.Hour
)

// List reads a page of the account's tasks: see [Provider].
// Source: https://www.alibabacloud.com/help/en/model-studio/manage-asynchronous-tasks.
func (d *DashScope) List(ctx context.Context, from, to time.Time, page int) (Page, error) {
	if span := to.Sub(from); from.IsZero() || span < 0 || span > longestSpan || page < 1 {
		return Page{}, unlisted("InvalidParameter", fmt.Sprintf("no list of page %d from %v to %v: pages count from 1, and the times are at most 24 h apart",
			page, from.UTC(), to.UTC()))
	}
	from, to = wholeSeconds(from, to)
	list, err := d.client.ListTasks(ctx, dashscope.ListTasksRequest{Start: from, End: to, PageNo: page, PageSize: pageSize})
	if err != nil {
		return Page{}, unread(d.fail(err), "ask again in a minute")
	}
	if list.PageNo > 0 && list.PageNo != page { // taken for the page asked for, it would hide the tasks of that one
		return Page{}, unlisted("WrongPage", fmt.Sprintf("asked for page %d of the list and got page %d", page, list.PageNo))
	}
	out := Page{Tasks: make([]Listed, 0, len(list.Tasks)), Total: max(0, list.Total), Last: isLast(list, page), ServedAt: list.ServedAt}
	for _, t := range list.Tasks {
		out.Tasks = append(out.Tasks, Listed{
			ID: t.ID, Status: status(t.Status), Model: t.Model, SubmittedAt: t.Created, StartedAt: t.Started, EndedAt: t.Ended,
		})
	}
	return out, nil
}

func unlisted(code, message string) *video.Error {
	return &video.Error{Charged: video.NotCharged, Failure: video.Failure{
		Code: code, Message: message, Advice: "Tasks cannot be looked up in the account's list; those that are known are still read with get_task.",
	}}
}

// wholeSeconds widens a span to the seconds that the service takes, but not beyond its longest: there the last second is
// the one that to is in.
func wholeSeconds(from, to time.Time) (time.Time, time.Time) {
	from = from.Truncate(time.Second)
	if whole := to.Truncate(time.Second); whole.Before(to) {
		to = whole.Add(time.Second)
	}
	if latest := from.Add(longestSpan); to.After(latest) {
		to = latest
	}
	return from, to
}

// isLast tells whether no page follows. An answer may give smaller pages than were asked for, and leave out any of its
// counts. Where they disagree, the one that promises more counts: a page too many is empty, one too few hides paid tasks.
func isLast(list *dashscope.TaskList, page int) bool {
	size := list.PageSize
	if size <= 0 {
		size = pageSize
	}
	pages := list.TotalPages
	if list.Total > 0 {
		if list.PageSize <= 0 && len(list.Tasks) > 0 { // then no page is known to hold more than this one
			size = len(list.Tasks)
		}
		pages = max(pages, (list.Total-1)/size+1)
	}
	if pages > 0 {
		return page >= pages
	}
	return len(list.Tasks) < size
}
