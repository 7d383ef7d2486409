package killtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// market is people who buy over HTTP, wait, list and cancel.
type market struct {
	*fleet
	until context.Context // ends when nothing new is to be begun
	each  int             // how many clips one person is at

	mu       sync.Mutex
	said     map[string]int    // answers by tool and what they said
	repeated int               // calls that were sent again because their replica died
	owners   map[string]string // by key
	ids      map[string]string // the task of a key
}

func newMarket(until context.Context, f *fleet) *market {
	f.service.boss.prompt = mishaps
	return &market{fleet: f, until: until, each: 8, said: map[string]int{}, owners: map[string]string{}, ids: map[string]string{}}
}

// mishaps makes prompts, some of which meet trouble at the service.
func mishaps(n int) string {
	prompt := fmt.Sprintf("character1 waves %d times", n)
	if fault := map[int]string{7: "drop-after", 13: "throttled x1", 17: "truncated-200", 23: "short-clip x1", 29: "fail-internal"}[n%30]; fault != "" {
		prompt += " [[fault:" + fault + "]]"
	}
	return prompt
}

// trade lets everybody buy, and returns when they have done with it.
func (m *market) trade() {
	var trading sync.WaitGroup
	for _, person := range people() {
		for range m.each {
			trading.Go(func() {
				for m.until.Err() == nil {
					m.one(person)
				}
			})
		}
	}
	trading.Wait()
}

// issue makes a new key.
func (m *market) issue(person string) job {
	b := m.service.boss
	b.mu.Lock()
	defer b.mu.Unlock()
	b.issued++
	j := b.job(b.issued)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.owners[j.Key] = person
	return j
}

// one buys a clip and stays with it until its end, or for as long as its fate is unknown.
func (m *market) one(person string) {
	j := m.issue(person)
	if rand.IntN(6) == 0 { // as agents do who lost patience
		var twice sync.WaitGroup
		defer twice.Wait()
		twice.Go(func() { m.buy(person, j) })
	}
	task := m.buy(person, j)
	if rand.IntN(8) == 0 {
		m.call(person, j.Key, "cancel_task", map[string]any{"task_id": task.TaskID})
	}
	for m.until.Err() == nil && (task.Status == "PENDING" || task.Status == "RUNNING") {
		if rand.IntN(4) == 0 {
			m.call(person, j.Key, "list_tasks", map[string]any{"limit": 3})
		}
		task = m.call(person, j.Key, "get_task", map[string]any{"task_id": task.TaskID, "wait_seconds": 5})
	}
}

// buy orders a job. Whoever asks, one key is one task.
func (m *market) buy(person string, j job) reply {
	a := m.call(person, j.Key, "generate_r2v", m.arguments(j))
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.ids[j.Key]; known != "" && a.TaskID != known {
		m.t.Errorf("%s is %s and %s", j.Key, known, a.TaskID)
	}
	m.ids[j.Key] = a.TaskID
	return a
}

func (m *market) arguments(j job) map[string]any {
	return map[string]any{
		"model": "wan2.6-r2v-flash", "prompt": j.Prompt, "duration": 2, "resolution": "720P", "idempotency_key": j.Key,
		"references": []any{map[string]any{"url": "http://" + m.service.address + "/samples/hat.png", "type": "image"}},
	}
}

// reply is what an answer says, or a refusal as text.
type reply struct {
	TaskID   string `json:"task_id"`
	Status   string
	Replayed bool
	refusal  string
}

// call calls a tool, and once more with the same words for each time that the replica dies on it.
func (m *market) call(person, key, tool string, arguments map[string]any) reply {
	for {
		a, err := m.send(person, key, tool, arguments)
		m.mu.Lock()
		if err == nil {
			m.said[tool+" "+verdict(a)]++
			m.mu.Unlock()
			return a
		}
		m.repeated++
		m.mu.Unlock()
		if m.t.Failed() || m.t.Context().Err() != nil {
			return reply{}
		}
	}
}

// verdict is what an answer said, in a word or its first sentence.
func verdict(a reply) string {
	if a.refusal == "" {
		return a.Status
	}
	for _, code := range []string{"NotPending", "Busy", "Ending", "InProgress"} {
		if strings.Contains(a.refusal, code) {
			return "refused: " + code
		}
	}
	return "refused: " + a.refusal
}

// customer is a client that waits longer than any call may take.
var customer = &http.Client{Timeout: 3 * time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 100}}

// send makes one call, in one protocol era or the other. Its error says that no answer came.
func (m *market) send(person, key, tool string, arguments map[string]any) (reply, error) {
	params := map[string]any{"name": tool, "arguments": arguments}
	version := "2025-11-25"
	if rand.IntN(2) == 0 {
		version = "2026-07-28"
		params["_meta"] = map[string]any{"io.modelcontextprotocol/protocolVersion": version, "io.modelcontextprotocol/clientCapabilities": map[string]any{}}
	}
	text, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
	if err != nil {
		return reply{}, err
	}
	r, err := http.NewRequestWithContext(m.t.Context(), http.MethodPost, m.balancer.URL+"/mcp", strings.NewReader(string(text)))
	if err != nil {
		return reply{}, err
	}
	for name, value := range map[string]string{
		"Authorization": "Bearer " + m.tokens[person], "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"Mcp-Protocol-Version": version, "Mcp-Method": "tools/call", "Mcp-Name": tool, "X-Key": key, "X-Tool": tool,
	} {
		r.Header.Set(name, value)
	}
	resp, err := customer.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{}, err
	}
	return read(m.t, resp.StatusCode, body), nil
}

// read reads an answer, which must be a tool's.
func read(t *testing.T, status int, body []byte) reply {
	var message struct {
		Error  json.RawMessage
		Result struct {
			IsError    bool
			Structured reply `json:"structuredContent"`
			Content    []struct{ Text string }
		}
	}
	err := json.Unmarshal(body, &message)
	assert.True(t, err == nil && status == http.StatusOK && message.Error == nil, "no answer of a tool: %d %s", status, body)
	a := message.Result.Structured
	if message.Result.IsError && len(message.Result.Content) > 0 {
		a.refusal = message.Result.Content[0].Text
	}
	return a
}
