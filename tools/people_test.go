package tools_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/video"
	"r2v-mcp/tools"
)

// people are clients of one service and ledger, each with a name of its own.
func people(t *testing.T, o options, perPerson string, names ...string) []*world {
	t.Helper()
	if o.speed == 0 {
		o.speed = 2000
	}
	w := &world{t: t, saveDir: t.TempDir()}
	w.upstream = httptest.NewServer(simulator.New(simulator.Options{Speed: o.speed, APIKey: simulatedKey}))
	t.Cleanup(w.upstream.Close)
	shared := w.set(o)
	if perPerson != "" {
		d := decimal.RequireFromString(perPerson)
		w.book.BudgetPerPerson = &d
	}
	var all []*world
	for _, name := range names {
		p := w.on(t)
		p.connect(&tools.Set{
			Catalogue: shared.Catalogue, Region: shared.Region, Tasks: shared.Tasks, MaxWait: shared.MaxWait, PollInterval: shared.PollInterval, Saves: shared.Saves, Callbacks: shared.Callbacks,
			Person: func(context.Context) string { return name },
		})
		all = append(all, p)
	}
	return all
}

// unknown requires that an id is answered as one that does not exist.
func (w *world) unknown(id string) {
	w.t.Helper()
	missing := "00000000-0000-4000-8000-000000000000"
	if strings.HasPrefix(id, "r2v-") {
		missing = "r2v-" + strings.Repeat("a", len(id)-4)
	}
	for _, tool := range []string{"get_task", "cancel_task"} {
		want, isError := w.call(tool, arguments{"task_id": missing})
		require.True(w.t, isError, want)
		got, isError := w.call(tool, arguments{"task_id": id})
		require.True(w.t, isError, got)
		require.Equal(w.t, strings.ReplaceAll(want, missing, id), got)
	}
}

func TestAnothersTaskIsOneThatDoesNotExist(t *testing.T) {
	t.Parallel()
	all := people(t, options{speed: slow}, "", "anna", "bob", "")
	anna := all[0]
	made := anna.answer("generate_r2v", wan27(nil))
	id, provided := made["task_id"].(string), made["provider_task_id"].(string)
	for _, other := range all[1:] {
		other.unknown(id)
		other.unknown(provided)
		require.Empty(t, other.answer("list_tasks", nil)["tasks"])
	}
	require.Zero(t, anna.counted("cancel"))
	require.Len(t, listed(anna.answer("list_tasks", nil)), 1)
	fresh := anna.answer("generate_r2v", wan27(arguments{"seed": 2})) // which has not begun yet
	require.Equal(t, "CANCELED", anna.answer("cancel_task", arguments{"task_id": fresh["provider_task_id"]})["status"])
}

func TestEachBuysTheirOwn(t *testing.T) {
	t.Parallel()
	all := people(t, options{speed: slow}, "", "anna", "bob")
	anna, bob := all[0], all[1]
	ids := map[string]bool{}
	for _, request := range []arguments{wan27(arguments{"idempotency_key": "k"}), wan27(arguments{"seed": 1})} {
		first := anna.answer("generate_r2v", request)
		for _, guarded := range []any{wan27(arguments{"max_cost": 0.01, "idempotency_key": "k2"}), wan27(arguments{"max_cost": 0.01, "idempotency_key": "k"})}[:2-len(ids)/2] {
			text, isError := bob.call("generate_r2v", guarded)
			require.True(t, isError, text)
			require.NotContains(t, text, "r2v-", "no task of anna's is named")
		}
		second := bob.answer("generate_r2v", request)
		for _, answer := range []map[string]any{first, second} {
			require.Equal(t, false, answer["replayed"])
			require.NotContains(t, ids, answer["task_id"])
			ids[answer["task_id"].(string)] = true
		}
		require.Equal(t, second["task_id"], bob.answer("generate_r2v", request)["task_id"])
	}
	for _, p := range all { // what is in the way now is in nobody's way who has bought the clip before
		again := p.answer("generate_r2v", wan27(arguments{"max_cost": 0.01, "idempotency_key": "k"}))
		require.Equal(t, true, again["replayed"])
		require.Contains(t, fmt.Sprint(p.answer("list_tasks", nil)), again["task_id"])
	}
	text, isError := bob.call("generate_r2v", wan27(arguments{"idempotency_key": "k", "prompt": "Image 1 runs"}))
	require.True(t, isError)
	require.Contains(t, text, "which was another request")
	for _, task := range listed(anna.answer("list_tasks", nil)) {
		require.NotContains(t, text, task["task_id"])
	}
	page := anna.answer("list_tasks", arguments{"limit": 1})
	require.NotEmpty(t, page["next_cursor"])
	for _, task := range listed(bob.answer("list_tasks", arguments{"cursor": page["next_cursor"]})) {
		require.NotEqual(t, page["tasks"].([]any)[0].(map[string]any)["task_id"], task["task_id"])
		bob.answer("get_task", arguments{"task_id": task["task_id"], "wait_seconds": 0})
	}
}

// A clip of 5 s in 1080P may cost 0.75 USD.
func TestEachHasTheirPartOfTheDay(t *testing.T) {
	t.Parallel()
	all := people(t, options{speed: slow, budgetPerDay: "2"}, "1", "anna", "bob", "eve")
	anna, bob, eve := all[0], all[1], all[2]
	anna.answer("generate_r2v", wan27(nil))
	e := anna.answer("estimate_cost", wan27(arguments{"seed": 1}))
	require.Equal(t, "this clip may cost up to 0.75 USD, and 0.25 of the 1 that you may spend today is left", path(e["problems"].([]any)[0], "problem"))
	require.Contains(t, path(e["problems"].([]any)[0], "allowed"), "R2V_BUDGET_PER_PERSON")
	text, isError := anna.call("generate_r2v", wan27(arguments{"seed": 1}))
	require.True(t, isError)
	require.Contains(t, text, "PersonBudgetExceeded")
	require.Empty(t, bob.answer("estimate_cost", wan27(nil))["problems"])
	bob.answer("generate_r2v", wan27(nil))
	text, isError = eve.call("generate_r2v", wan27(nil))
	require.True(t, isError)
	require.Contains(t, text, "DayBudgetExceeded: this clip may cost up to 0.75 USD, and 0.5 of today's 2 is left for all\n")
}

func TestALinkToTheSavedClip(t *testing.T) {
	const provided, ours = "https://results.example/a.mp4?Signature=canary", "https://r2v.example/clips/r2v-x.mp4"
	later := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	for name, tt := range map[string]struct {
		age       time.Duration // of the clip
		savedTo   string
		hide      bool
		link      string
		expires   time.Time
		failure   error
		url       any // expected of both tools, unless list is another
		list      any
		dies      bool
		saved     any
		next      string
		unlinking string // a warning
	}{
		"on this machine":                      {savedTo: "/v/a.mp4", url: provided, list: nil, dies: true, saved: "/v/a.mp4", next: "Done: give the user saved_to, and video_url"},
		"a link of our own":                    {savedTo: "/v/a.mp4", hide: true, link: ours, url: ours, list: ours, next: "Done: give the user video_url."},
		"a link after the service's has died":  {age: 48 * time.Hour, savedTo: "/v/a.mp4", hide: true, link: ours, expires: later, url: ours, list: ours, dies: true, next: "Done: give the user video_url and say when it dies."},
		"a bucket":                             {age: 48 * time.Hour, savedTo: "s3://b/a.mp4", hide: true, link: ours, expires: later, url: ours, list: ours, dies: true, next: "Done: give the user video_url and say when it dies."},
		"a bucket, on this machine":            {age: 48 * time.Hour, savedTo: "s3://b/a.mp4", link: ours, expires: later, url: ours, list: ours, dies: true, saved: "s3://b/a.mp4", next: "Done: give the user video_url and say when it dies."},
		"not saved yet":                        {hide: true, link: ours, url: provided, list: provided, dies: true, next: "still being saved"},
		"no link, and the service's lives":     {savedTo: "/v/a.mp4", hide: true, url: provided, list: provided, dies: true, next: "Done: give the user video_url and say when it dies."},
		"no link, and the service's has died":  {age: 48 * time.Hour, savedTo: "/v/a.mp4", hide: true, next: "ask the operator of this server"},
		"a link that fails":                    {savedTo: "/v/a.mp4", hide: true, failure: errors.New("R2V_SAVE_URL: no such bucket"), url: provided, list: provided, dies: true, next: "Done: give the user video_url and say", unlinking: "tell the operator of this server"},
		"a bucket whose link fails":            {savedTo: "s3://b/a.mp4", failure: errors.New("no such bucket"), url: provided, list: provided, dies: true, saved: "s3://b/a.mp4", next: "Done: give the user video_url and say", unlinking: "no such bucket"},
		"a bucket whose link fails, long ago":  {age: 48 * time.Hour, savedTo: "s3://b/a.mp4", hide: true, failure: errors.New("R2V_SAVE_URL: no such bucket"), next: "ask the operator of this server", unlinking: "tell the operator of this server"},
		"the same, on this machine":            {age: 48 * time.Hour, savedTo: "s3://b/a.mp4", failure: errors.New("no such bucket"), saved: "s3://b/a.mp4", next: "opened by a client of that storage", unlinking: "no such bucket"},
		"paths are hidden and there is no one": {savedTo: "C:\\v\\a.mp4", hide: true, url: provided, list: provided, dies: true, next: "Done"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{t: t, saveDir: t.TempDir(), upstream: httptest.NewServer(nil)}
			t.Cleanup(w.upstream.Close)
			set := w.set(options{})
			set.Tasks = told{task: video.Task{
				ID: "r2v-x", SavedTo: tt.savedTo, CreatedAt: time.Now().Add(-tt.age - time.Minute),
				Snapshot: video.Snapshot{Status: video.Succeeded, VideoURL: provided, EndedAt: time.Now().Add(-tt.age)},
			}}
			set.HidePaths = tt.hide
			if tt.link != "" || tt.failure != nil {
				set.Link = func(context.Context, *video.Task) (string, time.Time, error) { return tt.link, tt.expires, tt.failure }
			}
			w.connect(set)
			task := w.answer("get_task", arguments{"task_id": "r2v-x"})
			row := listed(w.answer("list_tasks", nil))[0]
			require.Equal(t, tt.url, task["video_url"])
			require.Equal(t, tt.list, row["video_url"])
			require.Equal(t, tt.list != nil && tt.dies, row["video_url_expires_at"] != nil)
			require.Equal(t, tt.dies, task["video_url_expires_at"] != nil)
			if !tt.expires.IsZero() {
				require.Equal(t, tt.expires.Format(time.RFC3339), task["video_url_expires_at"])
			}
			for _, answer := range []map[string]any{task, row} {
				require.Equal(t, tt.saved, answer["saved_to"])
				require.NotContains(t, warningsOf(answer), "R2V_")
				if tt.unlinking != "" {
					require.Contains(t, warningsOf(answer), tt.unlinking)
				}
			}
			require.Contains(t, task["next_step"], tt.next)
		})
	}
}

func TestTextsOfAServerElsewhere(t *testing.T) {
	w := &world{t: t, saveDir: t.TempDir(), upstream: httptest.NewServer(nil)}
	t.Cleanup(w.upstream.Close)
	set := w.set(options{})
	here := set.Instructions()
	require.Contains(t, here, "the path of a file on this server's computer")
	require.Contains(t, here, "It returns the link and the saved file.\n")
	set.HidePaths, set.NoFiles = true, true
	set.Link = func(context.Context, *video.Task) (string, time.Time, error) { return "", time.Time{}, nil }
	set.Tasks = told{task: video.Task{
		ID: "r2v-x", SaveError: "open /home/anna/videos: no space", CreatedAt: time.Now(),
		Snapshot: video.Snapshot{Status: video.Succeeded, VideoURL: "https://results.example/a.mp4", EndedAt: time.Now()},
	}}
	w.connect(set)
	text := set.Instructions()
	for _, tool := range w.tools() {
		text += tool.Description + string(tool.RawInputSchema)
		if schema, err := tool.InputSchema.MarshalJSON(); err == nil {
			text += string(schema)
		}
	}
	for _, words := range []string{"local file", "saved file", "saved_to", "path of a file"} {
		require.NotContains(t, text, words)
	}
	task := w.answer("get_task", arguments{"task_id": "r2v-x"})
	require.Contains(t, warningsOf(task), "the clip is not saved yet: download video_url before it dies at ")
	require.NotContains(t, warningsOf(task), "/home")
}

// calls remembers what was told of calls.
type calls struct {
	mu  sync.Mutex
	all []tools.Call
}

func (c *calls) told(_ context.Context, call tools.Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, call)
}

// panicking is a life of tasks that is broken.
type panicking struct{ tools.Tasks }

func (panicking) Wait(context.Context, string, string, time.Duration) (video.Task, error) {
	panic("secret")
}

func TestEachCallIsToldOnce(t *testing.T) {
	w := newWorld(t, options{handler: simulator.New(simulator.Options{Speed: slow, APIKey: simulatedKey})})
	set, heard := w.set(options{}), &calls{}
	set.Called = heard.told
	w.connect(set)
	id, _ := w.answer("generate_r2v", wan27(nil))["task_id"].(string)
	w.answer("get_task", arguments{"task_id": id, "wait_seconds": 1})
	w.answer("estimate_cost", wan27(nil))
	w.answer("list_tasks", nil)
	w.call("generate_r2v", wan27(arguments{"prompt": "", "idempotency_key": "k"}))
	w.call("get_task", arguments{"task_id": "r2v-nobody"})
	w.answer("cancel_task", arguments{"task_id": id})
	lost := w.set(options{ledgerPath: spoiled(t)})
	lost.Called = heard.told
	w.connect(lost)
	w.call("list_tasks", nil)
	broken := w.set(options{})
	broken.Called, broken.Tasks = heard.told, panicking{}
	w.connect(broken)
	w.call("get_task", arguments{"task_id": id})

	require.GreaterOrEqual(t, heard.all[1].Took, time.Second, "waits are included")
	for i := range heard.all {
		if heard.all[i].Err != nil {
			require.Equal(t, "failed", heard.all[i].Outcome)
			require.NotContains(t, heard.all[i].Err.Error(), "secret")
			heard.all[i].Err = nil
		} else {
			require.NotEqual(t, "failed", heard.all[i].Outcome)
		}
		require.Positive(t, heard.all[i].Took)
		heard.all[i].Took = 0
	}
	require.Equal(t, []tools.Call{
		{Tool: "generate_r2v", TaskID: id, Outcome: "ok"}, {Tool: "get_task", TaskID: id, Outcome: "ok"}, {Tool: "estimate_cost", Outcome: "ok"}, {Tool: "list_tasks", Outcome: "ok"},
		{Tool: "generate_r2v", Outcome: "refused"}, {Tool: "get_task", Outcome: "refused", Code: "TaskNotFound"}, {Tool: "cancel_task", TaskID: id, Outcome: "ok"},
		{Tool: "list_tasks", Outcome: "failed", Code: "LedgerUnavailable"}, {Tool: "get_task", Outcome: "failed"},
	}, heard.all)
}

// crowded is a life of tasks whose waits end together.
type crowded struct {
	tools.Tasks
	begun chan bool
	end   chan struct{}
}

func (c crowded) Wait(_ context.Context, _, id string, limit time.Duration) (video.Task, error) {
	if limit > 0 {
		c.begun <- true
		<-c.end
	}
	return video.Task{ID: id, CreatedAt: time.Now(), Snapshot: video.Snapshot{Status: video.Pending}}, nil
}

func TestOnlySoManyCallsWait(t *testing.T) {
	w := newWorld(t, options{})
	set, crowd := w.set(options{}), crowded{begun: make(chan bool, 9), end: make(chan struct{})}
	set.MostWaiting, set.Tasks = 2, crowd
	w.connect(set)
	var waiting sync.WaitGroup
	for range 2 {
		waiting.Go(func() { w.call("get_task", arguments{"task_id": "r2v-x"}) })
		<-crowd.begun
	}
	w.answer("get_task", arguments{"task_id": "r2v-x"})
	require.Empty(t, crowd.begun, "it was answered at once")
	close(crowd.end)
	waiting.Wait()
}

func TestOnePersonDoesNotTakeAllPlacesToWait(t *testing.T) {
	w := newWorld(t, options{})
	set, crowd := w.set(options{}), crowded{begun: make(chan bool, 9), end: make(chan struct{})}
	var who atomic.Value
	who.Store("anna")
	set.MostWaiting, set.Tasks, set.Person = 4, crowd, func(context.Context) string { return who.Load().(string) }
	w.connect(set)
	var waiting sync.WaitGroup
	waits := func() {
		waiting.Go(func() { w.call("get_task", arguments{"task_id": "r2v-x"}) })
		<-crowd.begun
	}
	waits()
	w.answer("get_task", arguments{"task_id": "r2v-x"})
	require.Empty(t, crowd.begun, "it was answered at once")
	who.Store("bob")
	waits()
	close(crowd.end)
	waiting.Wait()
}
