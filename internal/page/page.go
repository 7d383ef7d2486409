// Package page is the task page: what a person has asked for, how it goes on, what it costs, and the clips playing, for a
// browser. Everything is rendered here; the style sheet and the script come from here too, and nothing from elsewhere.
package page

import (
	"context"
	_ "embed" // the page's files
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/shopspring/decimal"

	"r2v-mcp/internal/auth"
	"r2v-mcp/internal/video"
)

var (
	//go:embed page.css
	style []byte
	//go:embed page.js
	script []byte
)

// title is the page's.
const title = "r2v tasks"

// policy lets a browser fetch from this server alone, and run nothing that stands in the page.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; media-src 'self'; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// Tasks lists tasks and the day's spending.
type Tasks interface {
	// List returns a page of Filter.Owner's tasks, newest first, and the cursor of the next page, empty on the last. A cursor that
	// no page has given out is a *[video.Error] with the code CursorUnknown.
	List(ctx context.Context, f video.Filter) (tasks []video.Task, next string, err error)
	// Budget tells how the owner's day stands in a currency, nil when there is no limit.
	Budget(ctx context.Context, owner, currency string) (*video.Budget, error)
}

// Options are what the page is made from. Tasks and Task are required.
type Options struct {
	Tasks Tasks
	// Task returns an owner's task. A *[video.Error] with a code other than TaskNotFound says that it cannot be told now; every
	// other error, that the owner has no such task.
	Task func(ctx context.Context, owner, id string) (video.Task, error)
	// Usual tells how long the quick and the slow clips of a model take, zero when that is not known. Nil knows of none.
	Usual func(ctx context.Context, model string) (quick, slow time.Duration, err error)
	// Spent tells what an owner has spent today, in a currency. It is asked where there is no limit; nil, and that is not shown.
	Spent func(ctx context.Context, owner, currency string) (decimal.Decimal, error)
	// Clip opens the saved clip of a task, and tells when it was saved. Nil has none.
	Clip func(ctx context.Context, task *video.Task) (io.ReadSeekCloser, time.Time, error)
	// SignIn tells whose a token is: [auth.ErrUnknown] nobody's, another error that it cannot be told now. With nil nobody signs in,
	// and everybody is the zero Person.
	SignIn   func(ctx context.Context, token string) (auth.Person, error)
	Currency string // of the account
	Secure   bool   // browsers reach the page by https
}

type page struct {
	Options
	now func() time.Time
}

// New returns the handler of GET /, /clips/{task_id}.mp4, /page.css and /page.js, and of POST /sign-in and /sign-out. Any other
// path is 404, any other method 405. It returns an error when a required option is missing.
func New(o Options) (http.Handler, error) { return newAt(o, time.Now) }

// newAt makes the page with a clock.
func newAt(o Options, now func() time.Time) (http.Handler, error) {
	if o.Tasks == nil || o.Task == nil {
		return nil, errors.New("a task page needs Tasks and Task")
	}
	p := &page{Options: o, now: now}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.tasks)
	mux.HandleFunc("GET /clips/{file}", p.clip)
	mux.HandleFunc("GET /page.css", file("text/css; charset=utf-8", style))
	mux.HandleFunc("GET /page.js", file("text/javascript; charset=utf-8", script))
	if o.SignIn != nil {
		mux.HandleFunc("POST /sign-in", p.signIn)
		mux.HandleFunc("POST /sign-out", p.signOut)
	}
	return guarded(mux), nil
}

// guarded sets the headers of every answer. Referrer-Policy is same-origin: no other site is told anything, and under no-referrer
// a browser would send "Origin: null" with our own forms, which nobody can tell from a stranger's.
// Source: "append a request Origin header", Fetch Standard.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "same-origin")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// file answers with a file of the page's own. They are small, and belong to the version that made the page: nobody keeps them.
func file(kind string, content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Write(content)
	}
}
