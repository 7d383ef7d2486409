package provider_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/evolink"
	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/video"
)

// relayed is the relay's adapter before answers by path.
func relayed(t *testing.T, answers map[string]string) *provider.EvoLink {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, known := answers[r.URL.Path]
		if known && r.URL.Query().Get("page") > "1" {
			body = `{"data":[],"total":46,"page":` + r.URL.Query().Get("page") + `}`
		}
		if !known {
			w.WriteHeader(http.StatusNotFound)
			body = `{"error":{"code":"task_not_found","message":"Task not found","type":"invalid_request_error"}}`
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	client, err := evolink.New(evolink.Config{BaseURL: server.URL, APIKey: "sk-evo-test"})
	require.NoError(t, err)
	whole, err := video.BuiltIn()
	require.NoError(t, err)
	return provider.NewEvoLink(client, whole.For("evolink"))
}

const made = `{"id":"task-unified-1-a","status":"completed","progress":100,"results":["https://media.example/a.mp4"]`

// The documents have no bill in the answer of a task; the list of EvoLink's own client has one.
func TestABillIsLookedForInTheListWhereTheTaskTellsNone(t *testing.T) {
	for name, tt := range map[string]struct{ task, list, want string }{
		"told by the task":   {made + `,"usage":{"credits_used":12.5}}`, ``, "12.5"},
		"told by the list":   {made + `}`, `{"data":[{"id":"task-unified-1-b","credits_used":1},{"id":"task-unified-1-a","credits_used":"30.6"}]}`, "30.6"},
		"told by nobody":     {made + `}`, `{"data":[{"id":"task-unified-1-a"}]}`, ""},
		"not settled yet":    {made + `}`, `{"data":[{"id":"task-unified-1-a","credits_used":0}]}`, ""},
		"there is no list":   {made + `}`, ``, ""},
		"an impossible bill": {made + `,"usage":{"credits_used":-3}}`, ``, ""},
	} {
		t.Run(name, func(t *testing.T) {
			answers := map[string]string{"/v1/tasks/task-unified-1-a": tt.task}
			if tt.list != "" {
				answers["/v1/tasks"] = tt.list
			}
			p := relayed(t, answers)
			s, err := p.Look(t.Context(), "task-unified-1-a")
			require.NoError(t, err)
			require.Equal(t, video.Succeeded, s.Status)
			require.Equal(t, "https://media.example/a.mp4", s.VideoURL)
			bill := s.Bill
			if bill == nil {
				bill, err = p.Bill(t.Context(), "task-unified-1-a", time.Now())
				require.NoError(t, err)
			}
			require.Equal(t, tt.want == "", bill == nil)
			if bill != nil {
				require.Equal(t, tt.want, bill.String())
			}
		})
	}
}

// A bill may be some pages down, and is not looked for beyond what is older than its clip.
func TestABillIsLookedForAsFarAsItCanBe(t *testing.T) {
	now := time.Now()
	asked := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page := r.URL.Query().Get("page")
		asked[page]++
		row, created := "other-"+page, now
		switch page {
		case "2":
			created = now.Add(-90 * time.Minute)
		case "3":
			row = "a"
		case "4":
			created = now.Add(-9 * time.Hour)
		}
		_, _ = fmt.Fprintf(w, `{"data":[{"id":"task-unified-1-%s","credits_used":34,"created_at":%d}],"page":%s,"total":400}`, row, created.Unix(), page)
	}))
	t.Cleanup(server.Close)
	client, err := evolink.New(evolink.Config{BaseURL: server.URL, APIKey: "sk-evo-test"})
	require.NoError(t, err)
	p := provider.NewEvoLink(client, nil)
	bill, err := p.Bill(t.Context(), "task-unified-1-a", now.Add(-2*time.Hour))
	require.NoError(t, err)
	require.Equal(t, "34", bill.String())
	for submitted, pages := range map[time.Time]int{now.Add(-20 * time.Hour): 4, now.Add(-3 * time.Hour): 4, now: 2} {
		clear(asked)
		bill, err = p.Bill(t.Context(), "task-unified-1-lost", submitted)
		require.NoError(t, err)
		require.Nil(t, bill)
		require.Len(t, asked, pages)
	}
}

// What lies beyond the end of a list is in no document: a page that is refused is none.
func TestABillIsNotThereWhereTheListEnds(t *testing.T) {
	for _, status := range []int{400, 404, 422} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("page") == "1" {
				_, _ = w.Write([]byte(`{"data":[{"id":"task-unified-1-other","credits_used":34}],"page":1}`))
				return
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(`{"error":{"code":"invalid_parameters","message":"page out of range","type":"invalid_request_error"}}`))
		}))
		defer server.Close()
		client, err := evolink.New(evolink.Config{BaseURL: server.URL, APIKey: "sk-evo-test"})
		require.NoError(t, err)
		bill, err := provider.NewEvoLink(client, nil).Bill(t.Context(), "task-unified-1-a", time.Now())
		require.NoError(t, err)
		require.Nil(t, bill)
	}
}

// What a page is said to hold may be what was asked for: 20 rows of 46 are not all, whatever page_size says.
func TestAListThatIsCappedIsNotTakenForWhole(t *testing.T) {
	now := time.Now()
	rows := ""
	for i := range 20 {
		rows += fmt.Sprintf(`{"id":"task-unified-1-%d","type":"video.generation.task","model":"wan2.6-reference-video","status":"processing","created_at":%d},`, i, now.Unix())
	}
	p := relayed(t, map[string]string{"/v1/tasks": `{"data":[` + rows[:len(rows)-1] + `],"total":46,"page":1,"page_size":50}`})
	page, err := p.List(t.Context(), now.Add(-time.Hour), now.Add(time.Minute), 1)
	require.NoError(t, err)
	require.Len(t, page.Tasks, 20)
	require.Equal(t, "wan2.6-r2v", page.Tasks[0].Model)
	require.False(t, page.Last)
	require.True(t, page.Doubtful, "nobody documents it")
	page, err = p.List(t.Context(), now.Add(-time.Hour), now.Add(time.Minute), 4)
	require.NoError(t, err)
	require.True(t, page.Last, "an empty page is the last")
}

// A model of another name may be any; a kind of task that is no video is none of ours.
func TestRowsOfOtherNamesAreNotOverlooked(t *testing.T) {
	now := time.Now()
	row := func(kind, model string) string {
		return fmt.Sprintf(`{"data":[{"id":"task-unified-1-a","type":%q,"model":%q,"status":"completed","created_at":%d}],"total":1}`, kind, model, now.Unix())
	}
	for kind, listed := range map[string]int{"video": 1, "": 1, "video.generation.task": 1, "image": 0, "audio": 0, "text": 0} {
		page, err := relayed(t, map[string]string{"/v1/tasks": row(kind, "wan2.6-r2v-flash-x")}).List(t.Context(), now.Add(-time.Hour), now.Add(time.Minute), 1)
		require.NoError(t, err)
		require.Len(t, page.Tasks, listed, kind)
		if listed > 0 {
			require.Empty(t, page.Tasks[0].Model)
		}
		require.True(t, page.Last)
	}
}

func TestARelayWithoutAListSaysSo(t *testing.T) {
	_, err := relayed(t, nil).List(t.Context(), time.Now().Add(-time.Hour), time.Now(), 1)
	e := failure(t, err)
	require.Equal(t, provider.NotSupported, e.Code)
	require.Equal(t, video.NotCharged, e.Charged)
}

// Every documented code gets advice of its own, and is called retryable only where the same request may go well later.
func TestAdviceForTheRelaysCodes(t *testing.T) {
	for code, retryable := range map[string]bool{
		"content_policy_violation": false, "insufficient_quota": false, "key_quota_exhausted": false, "model_access_denied": false, "key_expired": false,
		"image_processing_error": false, "resource_not_found": false, "invalid_parameters": false, "generation_failed_no_content": false,
		"quota_exceeded": true, "resource_exhausted": true, "generation_timeout": true, "service_error": true, "service_unavailable": true, "unknown_error": true,
	} {
		body := `{"id":"task-unified-1-a","status":"failed","error":{"code":"` + code + `","message":"said the relay","type":"task_error"}}`
		s, err := relayed(t, map[string]string{"/v1/tasks/task-unified-1-a": body}).Look(t.Context(), "task-unified-1-a")
		require.NoError(t, err)
		require.Equal(t, video.Failed, s.Status)
		require.Equal(t, []any{code, "said the relay", retryable}, []any{s.Failure.Code, s.Failure.Message, s.Failure.Retryable}, code)
		require.Contains(t, s.Failure.Advice, "Nothing was charged.")
		require.NotContains(t, s.Failure.Advice, "Alibaba")
		require.NotContains(t, s.Failure.Advice, "Model Studio")
	}
}

// What a list answers beyond its end is in no document: it is the end of what is read of it, and of what it proves.
func TestWhatAListSaysBeyondItsEndStopsNothing(t *testing.T) {
	now := time.Now()
	row := fmt.Sprintf(`{"id":"task-unified-1-a","type":"video","model":"wan2.6-reference-video","status":"processing","created_at":%d}`, now.Unix())
	for name, tt := range map[string]struct {
		status int
		body   string
	}{
		"the last page again, by its number": {http.StatusOK, `{"data":[` + row + `],"total":51,"page":2}`},
		"a refusal":                          {http.StatusBadRequest, `{"error":{"code":"invalid_request","message":"page out of range","type":"invalid_request_error"}}`},
		"nothing there":                      {http.StatusNotFound, `{"error":{"code":"not_found","message":"no such page","type":"invalid_request_error"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.body))
			}))
			t.Cleanup(server.Close)
			client, err := evolink.New(evolink.Config{BaseURL: server.URL, APIKey: "sk-evo-test"})
			require.NoError(t, err)
			whole, err := video.BuiltIn()
			require.NoError(t, err)
			page, err := provider.NewEvoLink(client, whole.For("evolink")).List(t.Context(), now.Add(-time.Hour), now.Add(time.Minute), 3)
			require.NoError(t, err)
			require.Equal(t, []bool{true, true}, []bool{page.Last, page.Broken})
			require.Empty(t, page.Tasks)
		})
	}
}
