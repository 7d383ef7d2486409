package page

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/auth"
	"r2v-mcp/internal/video"
)

// noon is when everything of the tests happens.
var noon = time.Date(2026, 3, 9, 12, 0, 0, 0, time.UTC)

// books are the tasks of several people, newest first, and what went wrong with reading them.
type books struct {
	mu     sync.Mutex
	tasks  map[string][]video.Task
	budget *video.Budget
	broken error
	asked  []video.Filter
}

func (b *books) List(_ context.Context, f video.Filter) ([]video.Task, string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, f)
	if b.broken != nil {
		return nil, "", b.broken
	}
	from := 0
	if f.Cursor != "" {
		var err error
		if from, err = strconv.Atoi(f.Cursor); err != nil {
			return nil, "", &video.Error{Failure: video.Failure{Code: "CursorUnknown", Message: "it is no cursor"}}
		}
	}
	all := b.tasks[f.Owner]
	to := min(from+f.Limit, len(all))
	next := ""
	if to < len(all) {
		next = strconv.Itoa(to)
	}
	return slices.Clone(all[from:to]), next, nil
}

func (b *books) Budget(_ context.Context, _, _ string) (*video.Budget, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.budget, nil
}

func (b *books) task(_ context.Context, owner, id string) (video.Task, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken != nil {
		return video.Task{}, b.broken
	}
	for _, t := range b.tasks[owner] {
		if t.ID == id {
			return t, nil
		}
	}
	return video.Task{}, &video.Error{Failure: video.Failure{Code: "TaskNotFound", Message: "no task has the id " + id}}
}

// change alters a task that is there.
func (b *books) change(owner, id string, how func(*video.Task)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.tasks[owner] {
		if b.tasks[owner][i].ID == id {
			how(&b.tasks[owner][i])
		}
	}
}

// add puts a task on top.
func (b *books) add(owner string, task video.Task) {
	b.mu.Lock()
	defer b.mu.Unlock()
	task.Owner = owner
	b.tasks[owner] = append([]video.Task{task}, b.tasks[owner]...)
}

// Tokens of the tests. Those of the metrics' reader and of an issuer that does not answer are told apart by the sign-in.
const (
	annasToken  = "r2v_annas-token"
	bensToken   = "r2v_bens-token"
	readerToken = "r2v_readers-token"
	downToken   = "r2v_issuer-is-down"
)

func signIn(_ context.Context, token string) (auth.Person, error) {
	switch token {
	case annasToken:
		return auth.Person{Name: "anna"}, nil
	case bensToken:
		return auth.Person{Name: "ben"}, nil
	case readerToken:
		return auth.Person{Name: "prometheus", Reader: true}, nil
	case downToken:
		return auth.Person{}, errors.New("dial tcp: the issuer is gone, token " + token)
	}
	return auth.Person{}, auth.ErrUnknown
}

// clipsOf opens the files that are named as saved.
func clipsOf(_ context.Context, task *video.Task) (io.ReadSeekCloser, time.Time, error) {
	f, err := os.Open(task.SavedTo)
	return f, noon, err
}

// options of a page of several people.
func options(b *books) Options {
	return Options{Tasks: b, Task: b.task, Clip: clipsOf, SignIn: signIn, Currency: "USD"}
}

// handler makes the page; its clock stands at noon.
func handler(t *testing.T, o Options) http.Handler {
	t.Helper()
	h, err := newAt(o, func() time.Time { return noon })
	require.NoError(t, err)
	return h
}

// ask sends a request with a token in the cookie, or without one.
func ask(h http.Handler, method, target, token string, headers map[string]string) *http.Response {
	r := httptest.NewRequest(method, target, http.NoBody)
	if token != "" {
		r.AddCookie(&http.Cookie{Name: "r2v", Value: token})
	}
	for name, value := range maps.All(headers) {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(text)
}

func money(text string) decimal.Decimal { return decimal.RequireFromString(text) }

func bill(text string) *decimal.Decimal {
	d := money(text)
	return &d
}

func cost(low, high string) *video.Cost {
	return &video.Cost{Low: money(low), High: money(high), Currency: "USD"}
}

const goodClip = "../../testdata/media/faststart.mp4"

// made is a task that has succeeded and whose clip is saved.
func made(id, file string) video.Task {
	return video.Task{ID: id, ProviderTaskID: "p-" + id, CreatedAt: noon.Add(-time.Hour), SavedTo: file, Estimate: cost("0.5", "0.5"), Billed: bill("0.5"),
		Request:  video.Request{Model: "wan2.7-r2v", Prompt: "A fox walks through snow", Resolution: "720P", Ratio: "16:9", Duration: 5},
		Snapshot: video.Snapshot{Status: video.Succeeded, SubmittedAt: noon.Add(-time.Hour), EndedAt: noon.Add(-58 * time.Minute), VideoURL: "https://clips.example/a.mp4?signature=s"},
	}
}

// running is a task that was begun so long before noon.
func running(id string, since time.Duration) video.Task {
	return video.Task{ID: id, ProviderTaskID: "p-" + id, CreatedAt: noon.Add(-since), Estimate: cost("0.5", "0.75"),
		Request:  video.Request{Model: "wan2.7-r2v", Prompt: "A boat turns into the wind", Resolution: "720P", Ratio: "16:9", Duration: 5},
		Snapshot: video.Snapshot{Status: video.Running, SubmittedAt: noon.Add(-since)},
	}
}

// owned makes tasks a person's.
func owned(owner string, tasks ...video.Task) []video.Task {
	for i := range tasks {
		tasks[i].Owner = owner
	}
	return tasks
}

// twoPeople are two people with one clip each.
func twoPeople() *books {
	return &books{tasks: map[string][]video.Task{
		"anna": owned("anna", made("r2v_a", goodClip)),
		"ben":  owned("ben", made("r2v_b", goodClip)),
	}}
}
