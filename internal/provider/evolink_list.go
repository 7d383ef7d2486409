package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"r2v-mcp/evolink"
	"r2v-mcp/internal/video"
)

// relayPageSize is what each page is asked to hold. No maximum is known, and EvoLink's own client asks for 20.
const relayPageSize = 50

// List reads a page of the account's tasks: see [Provider]. The relay lists all of them, the newest first, and takes no times: the span
// ends with the page on which something older is.
func (e *EvoLink) List(ctx context.Context, from, to time.Time, page int) (Page, error) {
	if span := to.Sub(from); from.IsZero() || span < 0 || span > longestSpan || page < 1 {
		return Page{}, unlisted("InvalidParameter", fmt.Sprintf("no list of page %d from %v to %v: pages count from 1, and the times are at most 24 h apart",
			page, from.UTC(), to.UTC()))
	}
	list, err := e.client.ListTasks(ctx, evolink.ListTasksRequest{Page: page, PageSize: relayPageSize})
	refused := refusedPage(err)
	if another := err == nil && list.Page > 0 && list.Page != page; another || refused && page > 1 {
		return Page{Last: true, Doubtful: true, Broken: true}, nil // what it says beyond its end is in no document
	}
	if noList(err) {
		return Page{}, unlisted(NotSupported, "the relay has no list of tasks: it is in none of its documents")
	}
	if err != nil {
		return Page{}, unread(e.fail(err), "ask again in a minute")
	}
	from, to = wholeSeconds(from, to)
	// Nobody documents the list: that a task is not in it proves something only where it shows others that are known.
	out := Page{ServedAt: list.ServedAt, Last: relayLast(list, page), Doubtful: true}
	for _, t := range list.Tasks {
		if !t.Created.IsZero() && t.Created.Before(from) {
			out.Last = true
			continue
		}
		if t.Created.After(to) || slices.Contains([]string{"text", "image", "audio"}, t.Type) {
			continue
		}
		out.Tasks = append(out.Tasks, Listed{ID: t.ID, Status: relayStatus(t.Status), Model: e.named(t.Model), SubmittedAt: t.Created, Progress: t.Progress})
	}
	return out, nil
}

// mostBillPages bounds what is read of the list for one bill.
const mostBillPages = 4

// Bill reads what a clip was charged from the list, where its own answer says no bill: the documents have none in that. See [Provider]. An
// account that has finished more clips since than the list is read for is told none.
func (e *EvoLink) Bill(ctx context.Context, id string, submitted time.Time) (*decimal.Decimal, error) {
	for page := 1; page <= mostBillPages; page++ {
		list, err := e.client.ListTasks(ctx, evolink.ListTasksRequest{Status: evolink.StatusCompleted, Page: page, PageSize: relayPageSize})
		if noList(err) || page > 1 && refusedPage(err) {
			return nil, nil
		}
		if err != nil {
			return nil, unread(e.fail(err), "it is asked for again")
		}
		older := false
		for _, t := range list.Tasks {
			if t.ID == id {
				return credits(t.CreditsUsed), nil
			}
			older = older || !t.Created.IsZero() && t.Created.Before(submitted.Add(-time.Hour))
		}
		if older || relayLast(list, page) {
			break
		}
	}
	return nil, nil
}

// refusedPage reports that it is the page that is refused, and neither the key nor the moment.
func refusedPage(err error) bool {
	e, ok := errors.AsType[*evolink.Error](err)
	return ok && e.Fate() == evolink.FateRefused && !e.Unauthorized() && !e.Transient()
}

// noList reports the answer of a relay that has no list of tasks.
func noList(err error) bool {
	e, ok := errors.AsType[*evolink.Error](err)
	return ok && (e.StatusCode == http.StatusNotFound || e.StatusCode == http.StatusMethodNotAllowed) && e.Fate() == evolink.FateRefused
}

// relayLast tells whether no page follows: nothing is on this one, or all that there is on the first. What a page is said to hold at the most
// may be what was asked for, and not what it holds.
func relayLast(list *evolink.TaskList, page int) bool {
	return len(list.Tasks) == 0 || page == 1 && list.Total > 0 && len(list.Tasks) >= list.Total
}

// named is what a model of the relay's is called here, empty for one of the family that the catalogue has not got: it may be any.
func (e *EvoLink) named(upstream string) string {
	for _, m := range e.catalogue.Models {
		if m.UpstreamName == upstream {
			return m.Name
		}
	}
	if strings.HasPrefix(upstream, "wan") {
		return "" // a version or a spelling of what may be ours
	}
	return upstream
}

// relayUploadReserve is how much of a file's life at the relay is not counted on.
const relayUploadReserve = time.Hour

// Upload gives a file to the relay, for use with any of its models: see [Provider].
// Source: https://docs.evolink.ai/en/api-manual/file-series/upload-stream.
func (e *EvoLink) Upload(ctx context.Context, model string, f File) (Uploaded, error) {
	if e.catalogue.Model(model) == nil {
		return Uploaded{}, unsent("ModelUnknown", "the catalogue has no model "+model, "Use one of the models that the tools list.")
	}
	if f.Size <= 0 || f.Content == nil {
		return Uploaded{}, unsent("EmptyFile", "the file is empty", "Give a file that has something in it.")
	}
	content := &loan{r: f.Content}
	defer content.end()
	sent := time.Now()
	file, err := e.client.UploadStream(ctx, evolink.File{Name: objectName(f), ContentType: f.ContentType, Size: f.Size, Content: content})
	if err != nil {
		return Uploaded{}, e.unstored(err)
	}
	until := sent.Add(evolink.FileLifetime)
	if !file.Expires.IsZero() && file.Expires.Before(until) {
		until = file.Expires
	}
	return Uploaded{URL: file.URL, Expires: until.Add(-relayUploadReserve)}, nil
}

// unstored is the error of a file that the relay did not take: nothing was bought with it.
func (e *EvoLink) unstored(err error) error {
	out := e.fail(err)
	known, ok := errors.AsType[*evolink.Error](err)
	switch {
	case out.Charged == video.ChargedUnknown:
		out.Charged, out.Retryable, out.Advice = video.NotCharged, true, adviceUploadLost
	case !ok || known.Unauthorized() || known.Fate() == evolink.FateNotSent || known.Transient():
	default:
		out.Retryable, out.Advice = false, adviceElsewhere+" The relay documents uploads of pictures; whether it takes this file is its own to say."
	}
	return out
}
