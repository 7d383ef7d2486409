package killtest

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/abema/go-mp4"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/billing"
	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/video"
)

// upstream is a task as the service has it.
type upstream struct {
	TaskID    string `json:"task_id"`
	Prompt    string
	Status    video.Status
	Submitted time.Time
	Usage     *struct{ Duration decimal.Decimal }
}

// audit holds the ledger and the folder against the service's own account.
type audit struct {
	t      *testing.T
	crew   *crew
	ledger *ledger.Ledger

	tasks    []upstream
	byPrompt map[string][]upstream
	rows     map[string]video.Task // by key
	lost     map[string]bool       // keys that may have died with a process before they were bought
	held     decimal.Decimal       // for them
	bad      []string              // words that lead to what is wrong in the log
}

func (a *audit) all() {
	a.read()
	a.purchases()
	a.clips()
	a.money()
	if a.crew.worker.Database == "" {
		a.integrity()
	}
}

func (a *audit) read() {
	a.crew.service.control(a.t, "tasks", &a.tasks)
	a.byPrompt = map[string][]upstream{}
	for _, task := range a.tasks {
		a.byPrompt[task.Prompt] = append(a.byPrompt[task.Prompt], task)
	}
	a.rows = map[string]video.Task{}
	filter := video.Filter{Limit: 500, Everyone: true}
	for {
		page, next, err := a.ledger.List(a.t.Context(), filter)
		require.NoError(a.t, err)
		for _, task := range page {
			a.rows[task.IdempotencyKey] = task
		}
		if filter.Cursor = next; next == "" {
			return
		}
	}
}

// wrong notes a fault, and what to look for in the log.
func (a *audit) wrong(trace []string, format string, args ...any) {
	a.t.Errorf(format, args...)
	a.bad = append(a.bad, trace...)
}

// purchases finds double creates and lost ids.
func (a *audit) purchases() {
	issued, _ := a.crew.service.progress()
	known := 0
	for n := 1; n <= issued; n++ {
		j := a.crew.service.job(n)
		row, bought := a.rows[j.Key], a.byPrompt[j.Prompt]
		trace := []string{row.ID}
		for _, task := range bought {
			trace = append(trace, task.TaskID)
		}
		switch {
		case len(bought) == 0 && row.Status == video.Unknown && a.lost[j.Key]:
			a.held = a.held.Add(row.Estimate.High) // nothing can prove yet that it is not under way
		case len(bought) > 1:
			a.wrong(trace, "%s was bought %d times, first at %s; the ledger: %s", j.Key, len(bought), bought[0].Submitted, inShort(row))
		case len(bought) == 0 && (row.Status != video.Failed || row.ProviderTaskID != ""):
			a.wrong(trace, "%s was never bought, and the ledger says %s", j.Key, inShort(row))
		case len(bought) == 1 && row.ProviderTaskID != bought[0].TaskID:
			a.wrong(trace, "the id of %s is lost: %s is upstream, and the ledger says %s", j.Key, bought[0].TaskID, inShort(row))
		case len(bought) == 1 && (row.Status != bought[0].Status || row.Request.Prompt != j.Prompt):
			a.wrong(trace, "%s is %s, and the ledger says %s", j.Key, bought[0].Status, inShort(row))
		}
		known += len(bought)
	}
	assert.Len(a.t, a.tasks, known, "upstream has tasks that nobody ordered")
	assert.LessOrEqual(a.t, len(a.rows), issued, "the ledger has tasks that nobody ordered")
}

func inShort(task video.Task) string {
	text := fmt.Sprintf("%s of %s %s, provider's id %q, saved to %q %s", task.ID, task.CreatedAt.UTC(), task.Status, task.ProviderTaskID, task.SavedTo, task.SaveError)
	if task.Failure != nil {
		text += ", " + task.Failure.Code
	}
	return text
}

// clips finds lost and broken files.
func (a *audit) clips() {
	expected := map[string]bool{}
	for _, row := range a.rows {
		if row.Status != video.Succeeded {
			continue
		}
		content, err := os.ReadFile(row.SavedTo)
		if err != nil || row.SaveError != "" {
			a.wrong([]string{row.ID}, "the clip of %s is lost: %v", inShort(row), err)
			continue
		}
		expected[row.SavedTo] = true
		if !bytes.Equal(content, a.served(row.VideoURL)) {
			a.wrong([]string{row.ID}, "%s is not what the service has", row.SavedTo)
		}
	}
	files, err := filepath.Glob(filepath.Join(a.crew.worker.Videos, "*.mp4"))
	require.NoError(a.t, err)
	for _, path := range files {
		if !expected[path] {
			a.wrong([]string{filepath.Base(path)}, "nobody knows the file %s", path)
		}
		file, err := os.Open(path)
		require.NoError(a.t, err)
		info, err := mp4.Probe(file)
		if err != nil || len(info.Tracks) == 0 {
			a.wrong([]string{filepath.Base(path)}, "%s is broken: %v", path, err)
		}
		file.Close()
	}
}

func (a *audit) served(address string) []byte {
	u, err := url.Parse(address)
	require.NoError(a.t, err)
	w := httptest.NewRecorder()
	a.crew.service.Handler.ServeHTTP(w, httptest.NewRequestWithContext(a.t.Context(), http.MethodGet, u.RequestURI(), nil))
	require.Equal(a.t, http.StatusOK, w.Code)
	return w.Body.Bytes()
}

// money holds the days of the ledger against the service's bills.
func (a *audit) money() {
	o, err := orderOf(catalogue(a.t), a.crew.service.job(1))
	require.NoError(a.t, err)
	due := decimal.Zero
	for _, task := range a.tasks {
		if task.Usage != nil {
			due = due.Add(billing.Cost(task.Usage.Duration, o.Estimate.PerSecond))
		}
	}
	days, err := a.ledger.Days(a.t.Context(), time.Now().Add(-48*time.Hour))
	require.NoError(a.t, err)
	var used, billed decimal.Decimal
	for _, day := range days {
		used, billed = used.Add(day.Used), billed.Add(day.Billed)
	}
	assert.Equal(a.t, due.Add(a.held).String(), used.String(), "what counts against the budget")
	assert.Equal(a.t, due.String(), billed.String(), "what was billed")
}

func catalogue(t *testing.T) *video.Catalogue {
	t.Helper()
	c, err := video.BuiltIn()
	require.NoError(t, err)
	return c
}

func (a *audit) integrity() {
	db, err := sql.Open("sqlite", a.crew.worker.Ledger)
	require.NoError(a.t, err)
	defer db.Close()
	var said string
	require.NoError(a.t, db.QueryRowContext(a.t.Context(), "PRAGMA integrity_check").Scan(&said))
	assert.Equal(a.t, "ok", said)
}

func (a *audit) summary() string {
	saved := 0
	for _, row := range a.rows {
		if row.SavedTo != "" {
			saved++
		}
	}
	log, err := os.ReadFile(a.crew.worker.Log)
	require.NoError(a.t, err)
	return fmt.Sprintf("keys %d, creates %d, adopted %d, released %d, saved %d",
		len(a.rows), len(a.tasks), strings.Count(string(log), "was found in the service's list"), strings.Count(string(log), "nothing was made that costs money"), saved)
}

// show prints what the workers said of what is wrong.
func (a *audit) show() {
	log, err := os.ReadFile(a.crew.worker.Log)
	require.NoError(a.t, err)
	const most = 60
	shown := 0
	for line := range strings.Lines(string(log)) {
		for _, word := range append(a.bad, "panic", "bug of") {
			if word != "" && strings.Contains(line, word) && shown < most {
				shown++
				a.t.Log(strings.TrimSpace(line))
				break
			}
		}
	}
	text, _ := json.Marshal(a.bad)
	a.t.Logf("concerned: %s", text)
}
