package dashscope

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const hostileKey = "sk-canary-0123456789"

func saying(t *testing.T, status int, body string) *Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	c, err := New(Config{BaseURL: server.URL + "/api/v1", APIKey: hostileKey})
	require.NoError(t, err)
	return c
}

// Every text of an answer is data from outside: short, clean and without the key wherever it stands.
func TestTextsOfATaskAreBoundedAndHoldNoKey(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for name, body := range map[string]string{
		"key":  `{"output":{"task_id":"a","task_status":"` + hostileKey + `","video_url":"https://media.example/` + hostileKey + `"},"usage":{"duration":1,"size":"` + hostileKey + `","ratio":"` + hostileKey + `"}}`,
		"long": `{"output":{"task_id":"a","task_status":"` + long + `","video_url":"https://media.example/` + long + `"},"usage":{"duration":1,"size":"` + long + `","ratio":"` + long + `"}}`,
		"odd":  `{"output":{"task_id":"a","task_status":"RUNNING","video_url":"javascript:alert(1)"},"usage":{"duration":1,"size":"\u001b[31m","ratio":"\u202e"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			task, err := saying(t, http.StatusOK, body).GetTask(context.Background(), "a")
			require.NoError(t, err)
			require.Empty(t, task.VideoURL)
			for _, text := range []string{task.Status, task.Usage.Size, task.Usage.Ratio} {
				require.LessOrEqual(t, len(text), maxCode+len("…"))
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
		_, err := saying(t, http.StatusOK, `{"output":{"task_id":"`+id+`","task_status":"PENDING"}}`).CreateVideo(context.Background(), &VideoRequest{Model: "m"})
		var e *Error
		require.ErrorAs(t, err, &e, id)
		require.Equal(t, FateUnknown, e.Fate())
		require.NotContains(t, e.Error(), hostileKey)
	}
}

func TestHugePageOfNothingIsReadQuickly(t *testing.T) {
	for _, part := range []string{"<!--<script></script>", "<", "<title>", "<style>", "&lt;"} {
		start := time.Now()
		_, err := saying(t, http.StatusInternalServerError, strings.Repeat(part, (1<<20)/len(part))).CreateVideo(context.Background(), &VideoRequest{Model: "m"})
		require.Error(t, err)
		require.Less(t, time.Since(start), 2*time.Second, part)
		require.Less(t, len(err.Error()), 2000)
	}
}

func TestRegionOf(t *testing.T) {
	for base, want := range map[string]string{
		"https://dashscope-intl.aliyuncs.com/api/v1": "singapore", "https://dashscope.aliyuncs.com/api/v1/": "beijing",
		"https://ws.us-east-1.maas.aliyuncs.com/api/v1": "virginia", "https://ws.eu-central-1.maas.aliyuncs.com/api/v1": "",
		"https://aliyuncs.com.example/api/v1": "", "http://127.0.0.1:8790/api/v1": "", "": "", "%": "",
	} {
		require.Equal(t, want, RegionOf(base), base)
	}
}
