package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sayTheSame fails unless a question about one id is answered as one about another id is, but for the id.
func (s *site) sayTheSame(token, one, other, tool string, arguments map[string]any) string {
	s.Helper()
	about := func(id string) string {
		whole := map[string]any{"task_id": id}
		for name, value := range arguments {
			whole[name] = value
		}
		began := time.Now()
		status, text := s.post(token, tool, whole)
		require.Less(s, time.Since(began), 3*time.Second, "nobody waits for what there is not")
		require.Equal(s, http.StatusOK, status, text)
		require.Contains(s, text, id)
		return strings.ReplaceAll(text, id, "ID")
	}
	said := about(one)
	require.Equal(s, about(other), said, tool)
	return said
}

const (
	neverOurs  = "r2v-aaaaaaaaaaaaaaaaaaaaaaaaaa"
	neverTheir = "00000000-1111-4222-8333-444444444444"
)

// listOf are the ids of a person's list, read in pages.
func (s *site) listOf(token string, size int, cursor string) (ids, cursors []string) {
	s.Helper()
	for {
		status, text := s.post(token, "list_tasks", map[string]any{"limit": size, "cursor": cursor})
		require.Equal(s, http.StatusOK, status, text)
		var message struct {
			Result struct {
				IsError bool
				List    struct {
					Tasks []struct {
						TaskID string `json:"task_id"`
					}
					Next string `json:"next_cursor"`
				} `json:"structuredContent"`
			}
		}
		require.NoError(s, json.Unmarshal([]byte(text), &message))
		require.False(s, message.Result.IsError, text)
		for _, task := range message.Result.List.Tasks {
			ids = append(ids, task.TaskID)
		}
		if cursor = message.Result.List.Next; cursor == "" {
			return ids, cursors
		}
		cursors = append(cursors, cursor)
	}
}

func TestNobodyReachesAnothersTask(t *testing.T) {
	t.Parallel()
	upstream, home := newService(t, 1), t.TempDir()
	tokens, of := tokensIn(t, home, "alice", "bob", "carol")
	s := serveHTTP(t, append(upstream.env(home), tokens)...)
	a, b := of["alice"], of["bob"]

	request := waving("secretly")
	request["idempotency_key"] = "the-same"
	his := s.gets(b, "generate_r2v", waving("openly")).answer
	hers := s.gets(a, "generate_r2v", request).answer
	require.NotEmpty(t, hers.ProviderTaskID)
	require.Len(t, hers.TaskID, len(neverOurs), "the ids that are compared are alike")

	for tool, arguments := range map[string][]map[string]any{
		"get_task": {{"wait_seconds": 0}, {"wait_seconds": 20}, nil}, "cancel_task": {nil},
	} {
		for _, with := range arguments {
			require.Contains(t, s.sayTheSame(b, hers.TaskID, neverOurs, tool, with), "no task has the id ID")
			require.Contains(t, s.sayTheSame(b, hers.ProviderTaskID, neverTheir, tool, with), "no task has the id ID")
			require.Contains(t, s.sayTheSame(of["carol"], hers.TaskID, his.TaskID, tool, with), "no task has the id ID")
		}
	}
	require.NotEqual(t, "CANCELED", s.gets(a, "get_task", map[string]any{"task_id": hers.TaskID, "wait_seconds": 0}).answer.Status)

	// The same key, and the same request without one: each buys their own.
	bought := upstream.creates.Load()
	same := s.gets(b, "generate_r2v", request).answer
	require.False(t, same.Replayed)
	require.NotEqual(t, hers.TaskID, same.TaskID)
	require.NotEqual(t, hers.ProviderTaskID, same.ProviderTaskID)
	require.Equal(t, bought+1, upstream.creates.Load())
	again := s.gets(a, "generate_r2v", request).answer
	require.True(t, again.Replayed)
	require.Equal(t, hers.TaskID, again.TaskID)
	unlike := waving("differently")
	unlike["idempotency_key"] = "the-same"
	require.Contains(t, s.asks(a, "generate_r2v", unlike).refusal, "the-same", "a key of one's own is refused for another request")
	require.Contains(t, s.asks(b, "generate_r2v", unlike).refusal, "the-same")
	third := s.gets(of["carol"], "generate_r2v", unlike).answer
	require.False(t, third.Replayed, "and is free for everybody else")
	hers2 := s.gets(a, "generate_r2v", waving("openly")).answer
	require.False(t, hers2.Replayed, "the same request within the window is another person's")
	require.EqualValues(t, 5, upstream.creates.Load())

	// Lists, in pages of every size, and from another's cursor.
	for size := 1; size <= 3; size++ {
		ids, _ := s.listOf(b, size, "")
		require.Equal(t, []string{same.TaskID, his.TaskID}, ids)
		ids, _ = s.listOf(a, size, "")
		require.Equal(t, []string{hers2.TaskID, hers.TaskID}, ids)
	}
	_, cursors := s.listOf(a, 1, "")
	require.Len(t, cursors, 1)
	ids, _ := s.listOf(b, 5, cursors[0])
	require.Equal(t, []string{same.TaskID, his.TaskID}, ids, "a cursor is a place in time: it opens nothing of whose it was")
}

func TestEachSpendsTheirOwnPartOfTheDay(t *testing.T) {
	t.Parallel()
	upstream, home := newService(t, 1), t.TempDir()
	tokens, of := tokensIn(t, home, "alice", "bob", "carol")
	s := serveHTTP(t, append(upstream.env(home), tokens, "R2V_BUDGET_PER_PERSON=0.5", "R2V_BUDGET_PER_DAY=0.9")...)
	s.gets(of["alice"], "generate_r2v", waving("one"))
	refused := s.asks(of["alice"], "generate_r2v", waving("two")).refusal
	require.Contains(t, refused, "PersonBudgetExceeded")
	require.Contains(t, refused, "this clip may cost up to 0.4 USD, and 0.1 of the 0.5 that you may spend today is left (0.4 is spent or held for your clips being made)")
	require.Contains(t, refused, "R2V_BUDGET_PER_PERSON")
	require.Contains(t, refused, "charged: no")
	s.gets(of["bob"], "generate_r2v", waving("one"))
	refused = s.asks(of["carol"], "generate_r2v", waving("one")).refusal
	require.Contains(t, refused, "DayBudgetExceeded")
	require.Contains(t, refused, "this clip may cost up to 0.4 USD, and 0.1 of today's 0.9 is left for all")
	require.Contains(t, refused, "charged: no")
	for _, name := range []string{"alice", "bob"} {
		require.NotContains(t, refused, name, "who has spent it is nobody's business")
	}
	require.EqualValues(t, 2, upstream.creates.Load())
	ids, _ := s.listOf(of["carol"], 5, "")
	require.Empty(t, ids)
}

func TestAClipIsItsOwners(t *testing.T) {
	t.Parallel()
	upstream, home := newService(t, 600), t.TempDir()
	tokens, of := tokensIn(t, home, "alice", "bob", prometheus)
	s := serveHTTP(t, append(upstream.env(home), tokens)...)
	task := s.gets(of["alice"], "generate_r2v", waving("home")).answer.TaskID
	require.Equal(t, "SUCCEEDED", s.gets(of["alice"], "get_task", map[string]any{"task_id": task, "wait_seconds": 20}).answer.Status)
	s.requireClipOf(task, of["alice"])
	get := func(id string, headers ...string) (int, string) {
		return s.send(http.MethodGet, "/clips/"+id+".mp4", "", headers...)
	}
	status, another := get(task, "Cookie", "r2v="+of["bob"])
	require.Equal(t, http.StatusNotFound, status)
	status, none := get(neverOurs, "Cookie", "r2v="+of["bob"])
	require.Equal(t, http.StatusNotFound, status)
	require.Equal(t, none, another)
	for _, stranger := range [][]string{nil, {"Cookie", "r2v="}, {"Cookie", "r2v=r2v_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}} {
		status, _ = get(task, stranger...)
		require.Equal(t, http.StatusUnauthorized, status)
	}
	status, _ = get(task, "Cookie", "r2v="+of[prometheus])
	require.Equal(t, http.StatusForbidden, status)
	status, _ = s.send(http.MethodGet, "/clips/"+task+".mp4?access_token="+of["alice"], "")
	require.Equal(t, http.StatusUnauthorized, status)
	// An agent has its token in the header.
	status, clip := get(task, bearer(of["alice"])...)
	require.Equal(t, http.StatusOK, status)
	require.True(t, strings.HasPrefix(clip[4:], "ftyp"))
	status, another = get(task, bearer(of["bob"])...)
	require.Equal(t, http.StatusNotFound, status)
	require.Equal(t, none, another)
}

func TestAnEndedTokenEndsWithinTwoSeconds(t *testing.T) {
	t.Parallel()
	upstream, home := newService(t, 1), t.TempDir()
	tokens, of := tokensIn(t, home, "alice", "bob")
	s := serveHTTP(t, append(upstream.env(home), tokens)...)
	task := s.gets(of["bob"], "generate_r2v", waving("goodbye")).answer.TaskID
	waited := make(chan int, 1)
	go func() {
		status, _, err := s.try(t.Context(), http.MethodPost, "/mcp", callLine(8, "get_task", map[string]any{"task_id": task, "wait_seconds": 4}), bearer(of["bob"])...)
		if err != nil {
			status = -1
		}
		waited <- status
	}()
	path := strings.TrimPrefix(tokens, "R2V_TOKENS_FILE=")
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	kept, _, found := strings.Cut(string(file), "bob ")
	require.True(t, found, "the file has a line for each, hers first")
	require.NoError(t, os.WriteFile(path, []byte(kept), 0o600))
	ended := time.Now()
	require.Eventually(t, func() bool {
		status, _ := s.post(of["bob"], "list_tasks", map[string]any{})
		return status == http.StatusUnauthorized
	}, 2*time.Second, 20*time.Millisecond)
	t.Log("the token was good for another", time.Since(ended).Round(time.Millisecond))
	status, _ := s.send(http.MethodGet, "/", "", "Cookie", "r2v="+of["bob"])
	require.Equal(t, http.StatusUnauthorized, status)
	s.gets(of["alice"], "list_tasks", map[string]any{})
	t.Log("the call that waited was answered with", <-waited)
	status, text := s.post(of["bob"], "get_task", map[string]any{"task_id": task})
	require.Equal(t, http.StatusUnauthorized, status)
	require.NotContains(t, text, task)
	require.NotContains(t, fmt.Sprint(&s.stderr), of["bob"])
}
