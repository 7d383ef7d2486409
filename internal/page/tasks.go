package page

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	g "maragu.dev/gomponents"

	"r2v-mcp/internal/auth"
	"r2v-mcp/internal/video"
)

const (
	// onePage is how many tasks stand on a page: each has a clip whose beginning the browser fetches.
	onePage = 20
	// longestCursor bounds what is handed on as a cursor.
	longestCursor = 256
)

// list is the page of a person's tasks.
type list struct {
	Person  string
	SignOut bool
	First   bool // the newest tasks are on it
	Live    bool // something on it may change by itself
	Day     *day
	Tasks   []entry
	Older   string // the cursor of the next page
}

func (p *page) tasks(w http.ResponseWriter, r *http.Request) {
	person, err := p.person(r)
	if err != nil {
		if errors.Is(err, auth.ErrUnknown) || errors.Is(err, errReader) { // good for nothing any more
			p.setCookie(w, "")
		}
		p.refuse(w, r, err)
		return
	}
	shown := list{Person: line(person.Name, 80), SignOut: p.SignIn != nil}
	cursor := r.URL.Query().Get("cursor")
	shown.First = cursor == ""
	if len(cursor) > longestCursor {
		p.refuseCursor(w, r)
		return
	}
	if err := p.fill(r.Context(), &shown, person.Name, cursor); err != nil {
		p.refuseList(w, r, err)
		return
	}
	p.render(w, r, http.StatusOK, listPage(&shown))
}

// fill reads a person's page of tasks, and how the day stands.
func (p *page) fill(ctx context.Context, shown *list, owner, cursor string) error {
	tasks, next, err := p.Tasks.List(ctx, video.Filter{Owner: owner, Limit: onePage, Cursor: cursor})
	if err != nil {
		return err
	}
	if shown.Day, err = p.day(ctx, owner); err != nil {
		return err
	}
	shown.Older = next
	usual := p.usual(ctx)
	for i := range tasks {
		if t := &tasks[i]; t.Owner == owner { // the ledger has seen to it; another's prompt is not shown whatever happens there
			e := newEntry(t, p.now(), p.Currency, usual)
			shown.Tasks = append(shown.Tasks, e)
			shown.Live = shown.Live || e.Live
		}
	}
	return nil
}

// day tells how a person's day stands, nil when there is nothing to tell.
func (p *page) day(ctx context.Context, owner string) (*day, error) {
	budget, err := p.Tasks.Budget(ctx, owner, p.Currency)
	if err != nil || budget != nil || p.Spent == nil {
		return newDay(budget), err
	}
	spent, err := p.Spent(ctx, owner, p.Currency)
	if err != nil {
		return nil, err
	}
	return &day{Used: amount(spent, p.Currency)}, nil
}

// span is how long the quick and the slow clips of a model usually take.
type span struct{ quick, slow time.Duration }

// usual asks once for each model how long its clips usually take. It is for an estimate: without an answer none is made.
func (p *page) usual(ctx context.Context) func(model string) span {
	known := map[string]span{}
	return func(model string) span {
		s, ok := known[model]
		if !ok && p.Usual != nil {
			if quick, slow, err := p.Usual(ctx, model); err == nil {
				s = span{quick, slow}
			}
			known[model] = s
		}
		return s
	}
}

// refuseList says why there is no list.
func (p *page) refuseList(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := errors.AsType[*video.Error](err)
	if ok && e.Code == "CursorUnknown" {
		p.refuseCursor(w, r)
		return
	}
	n := notice{Heading: "The tasks cannot be read now", Text: "Nothing is lost by it: clips that were asked for go on, and are shown when the ledger can be read again.",
		Advice: "Load this page again in a minute; if it stays like this, tell the operator."}
	w.Header().Set("Retry-After", "5")
	p.say(w, r, http.StatusServiceUnavailable, n)
}

func (p *page) refuseCursor(w http.ResponseWriter, r *http.Request) {
	p.say(w, r, http.StatusBadRequest, notice{Heading: "No such page", Text: "This address names a page of tasks that was never given out.", Advice: "Start with the newest tasks."})
}

// render writes a view, or that it could not be made: never a part of one.
func (p *page) render(w http.ResponseWriter, r *http.Request, status int, view g.Node) {
	var made bytes.Buffer
	if err := view.Render(&made); err != nil {
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", fmt.Sprint(made.Len()))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(made.Bytes())
	}
}
