package simulator

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// These limits are too large, or what is behind them too hidden, to be met from outside in a quick test.

func createOrder(t *testing.T, s *Server, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/services/aigc/video-generation/video-synthesis", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer sk-test")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-DashScope-Async", "enable")
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, r)
	return recorder
}

const smallOrder = `{"model":"wan2.6-r2v","input":{"prompt":"character1","reference_urls":["https://a.test/a.png"]}}`

func TestAnOrderHasALargestSize(t *testing.T) {
	s := New(Options{})
	s.maxOrder = int64(len(smallOrder))
	require.Equal(t, 200, createOrder(t, s, smallOrder).Code)
	tooLarge := createOrder(t, s, smallOrder+" ")
	require.Equal(t, 400, tooLarge.Code)
	require.Contains(t, tooLarge.Body.String(), `"code":"BadRequest.TooLarge"`)
}

func TestAnUploadHasALargestSize(t *testing.T) {
	s := New(Options{})
	s.maxUpload = 8
	form := map[string]string{"OSSAccessKeyId": accessKey, "policy": "p", "Signature": s.sign("p"), "key": "d/a",
		"x-oss-object-acl": objectACL, "x-oss-forbid-overwrite": forbidRewrite}
	c := &call{now: time.Now()}
	s.grants["p"] = grant{"wan2.7-r2v", "d", c.now.Add(time.Minute)}
	require.Equal(t, "EntityTooLarge", s.store(c, form, make([]byte, 9)).code)
	require.Nil(t, s.store(c, form, make([]byte, 8)))
}

func TestADataURIMayHold20MB(t *testing.T) {
	for size, good := range map[int]bool{0: false, 1: true, maxPicture: true, maxPicture + 1: false} {
		require.Equal(t, good, isPicture("data:image/png;base64,"+base64.StdEncoding.EncodeToString(make([]byte, size))), "%d", size)
	}
}

func TestOnlyTheLatestRequestsAreKept(t *testing.T) {
	s := New(Options{Unthrottled: true})
	for i := range keptRequests + 2 {
		createOrder(t, s, strconv.Itoa(i))
	}
	require.Len(t, s.received, keptRequests)
	require.Equal(t, "2", s.received[0].Body)
	s.remember(&call{r: httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil), body: make([]byte, keptBytes-3)})
	require.Len(t, s.received, 1, "there is no room for another")
}

// A soak makes tasks by the thousand, and each is remembered for two days: the pictures in an order must not be.
func TestARememberedTaskIsSmall(t *testing.T) {
	const tasks, most = 200, 4 << 10
	s := New(Options{Unthrottled: true})
	picture := "data:image/png;base64," + base64.StdEncoding.EncodeToString(make([]byte, 12<<10))
	heap := func() uint64 {
		s.received = nil
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range tasks {
		prompt := strconv.Itoa(i) + strings.Repeat(" dances", 100) + " [[fault:503@get]] [[fault:late-in-list]]"
		answer := createOrder(t, s, `{"model":"wan2.7-r2v","input":{"prompt":"`+prompt+`","media":[{"type":"reference_image","url":"`+picture+`"}]}}`)
		require.Equal(t, 200, answer.Code)
	}
	after := heap()
	require.Len(t, s.tasks, tasks)
	require.Less(t, int64(after-before)/tasks, int64(most))
}

func TestWhatNobodyCanAskAboutIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		createOrder(t, s, smallOrder)
		s.grants["p"] = grant{expires: time.Now().Add(policyLife)}
		s.objects["k"] = object{expires: time.Now().Add(objectMemory)}
		time.Sleep(49 * time.Hour)
		createOrder(t, s, smallOrder)
		require.Len(t, s.tasks, 2, "its link may still live")
		require.Empty(t, s.grants)
		require.Empty(t, s.objects)
		time.Sleep(time.Hour)
		createOrder(t, s, smallOrder)
		require.Len(t, s.tasks, 2)
		require.Len(t, s.queue, 2)
	})
}
