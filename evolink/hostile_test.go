package evolink

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const hostileKey = "sk-evo-canary-0123456789"

func saying(t *testing.T, status int, body string) *Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	c, err := New(Config{BaseURL: server.URL, FilesURL: server.URL, APIKey: hostileKey})
	require.NoError(t, err)
	return c
}

// Every text of an answer is data from outside: short, clean and without the key wherever it stands.
func TestTextsOfATaskAreBoundedAndHoldNoKey(t *testing.T) {
	for name, text := range map[string]string{
		"key": hostileKey, "long": strings.Repeat("x", 50_000), "odd": `\u001b[31m\u202e`,
	} {
		t.Run(name, func(t *testing.T) {
			body := fmt.Sprintf(`{"id":"a","status":"x%[1]s","model":"%[1]s","results":["https://media.example/%[1]s"],`+
				`"result_data":[{"video_url":"https://media.example/%[1]s"}],"error":{"code":"%[1]s","message":"%[1]s","type":"%[1]s","suggestion":"%[1]s"}}`, text)
			task, err := saying(t, http.StatusOK, body).GetTask(context.Background(), "a")
			require.NoError(t, err)
			require.Empty(t, task.Results)
			require.NotNil(t, task.Error)
			for _, text := range []string{task.Status, task.Model, task.Error.Code, task.Error.Type, task.Error.Message, task.Error.Suggestion} {
				require.LessOrEqual(t, len(text), maxMessage+len("…"))
				require.NotContains(t, text, hostileKey)
				require.NotContains(t, text, "\x1b")
				require.NotContains(t, text, "\u202e")
			}
		})
	}
}

// An id that could not be asked for later is none: the task may exist, and nobody knows it.
func TestOddIDsAreNoIDs(t *testing.T) {
	for _, id := range []string{"", "../tasks", "a b", strings.Repeat("x", 1000), hostileKey, `a\u0000b`} {
		c := saying(t, http.StatusOK, `{"id":"`+id+`","status":"pending"}`)
		_, err := c.CreateVideo(context.Background(), &VideoRequest{Model: "m"}, "0123456789abcdef")
		var e *Error
		require.ErrorAs(t, err, &e, id)
		require.Equal(t, FateUnknown, e.Fate())
		require.NotContains(t, e.Error(), hostileKey)
	}
}

func TestHugeAnswersOfNothingAreReadQuickly(t *testing.T) {
	for _, part := range []string{"<!--<script></script>", "<", "<title>", "<style>", "&lt;", "[", `{"a":`, `{"results":[`} {
		began := time.Now()
		_, err := saying(t, http.StatusInternalServerError, strings.Repeat(part, (1<<20)/len(part))).GetTask(context.Background(), "t")
		require.Error(t, err)
		require.Less(t, time.Since(began), 2*time.Second, part)
		require.Less(t, len(err.Error()), 2000)
	}
	began := time.Now()
	links := strings.TrimSuffix(strings.Repeat(`"https://a/b",`, 70_000), ",")
	task, err := saying(t, http.StatusOK, `{"id":"t","status":"completed","results":[`+links+`]}`).GetTask(context.Background(), "t")
	require.NoError(t, err)
	require.Equal(t, []string{"https://a/b"}, task.Results)
	require.Less(t, time.Since(began), 2*time.Second)
}

// What is remembered of reads is no more than what was read within the interval.
func TestReadsAreForgottenAfterTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all turns
		for i := range 1000 {
			ids := []string{fmt.Sprint("t-", i)}
			require.NoError(t, all.take(t.Context(), ids))
			all.end(ids, true)
			time.Sleep(ReadInterval / 10)
			require.LessOrEqual(t, len(all.tasks), 10)
		}
		time.Sleep(ReadInterval)
		require.NoError(t, all.take(t.Context(), []string{"last"}))
		all.end([]string{"last"}, false)
		require.Empty(t, all.tasks)
	})
}
