package tools_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/callback"
	"r2v-mcp/internal/simulator"
	"r2v-mcp/tools"
)

// beside is another client of a world's ledger, whose server treats callbacks differently.
func (w *world) beside(t *testing.T, shared *tools.Set, callbacks tools.Callbacks) *world {
	t.Helper()
	other := w.on(t)
	other.connect(&tools.Set{
		Catalogue: shared.Catalogue, Region: shared.Region, Tasks: shared.Tasks, MaxWait: shared.MaxWait, PollInterval: shared.PollInterval, Saves: shared.Saves, Callbacks: callbacks,
	})
	return other
}

// What was to be told when the operator thought differently is not shown as if it were sent.
func TestATaskSaysWhyItsCallbackIsNotSent(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.answer = func(int) int { return http.StatusInternalServerError }
	hosts, err := callback.ParseHosts("elsewhere.example")
	require.NoError(t, err)
	elsewhere := sender(t, callback.Options{Hosts: hosts})
	const off, forbidden = "the operator has switched callbacks off (R2V_CALLBACKS)", "127.0.0.1 is not one of the hosts that the operator allows (R2V_CALLBACKS)"
	for _, waiting := range []bool{true, false} {
		w := &world{t: t, saveDir: t.TempDir()}
		w.upstream = httptest.NewServer(simulator.New(simulator.Options{Speed: map[bool]float64{true: slow, false: 2000}[waiting], APIKey: simulatedKey}))
		t.Cleanup(w.upstream.Close)
		shared := w.set(options{callbacks: sender(t, callback.Options{}, r.Listener.Addr().String())})
		w.connect(shared)
		made := w.answer("generate_r2v", wan27(arguments{"callback_url": r.URL + "/canary"}))
		if !waiting {
			r.wait(t)
		}
		look := func(w *world) map[string]any {
			return w.answer("get_task", arguments{"task_id": made["task_id"], "wait_seconds": 0})["callback"].(map[string]any)
		}
		got := look(w.beside(t, shared, nil))
		require.Equal(t, "off", got["state"])
		require.Equal(t, off, got["error"])
		require.Nil(t, got["next_attempt_at"])
		got = look(w.beside(t, shared, elsewhere))
		require.Equal(t, map[bool]string{true: "waiting", false: "retrying"}[waiting], got["state"])
		require.Equal(t, forbidden, got["error"])
		require.NotContains(t, fmt.Sprint(got), "canary")
		got = look(w)
		require.Equal(t, map[bool]string{true: "waiting", false: "retrying"}[waiting], got["state"])
		require.NotContains(t, fmt.Sprint(got), "R2V_CALLBACKS")
	}
}

func TestWhatHasNothingMoreToTellIsNotOff(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := &world{t: t, saveDir: t.TempDir()}
	w.upstream = httptest.NewServer(simulator.New(simulator.Options{Speed: 2000, APIKey: simulatedKey}))
	t.Cleanup(w.upstream.Close)
	shared := w.set(options{callbacks: sender(t, callback.Options{}, r.Listener.Addr().String())})
	w.connect(shared)
	text, refused := w.call("generate_r2v", wan27(arguments{"callback_url": r.URL, "prompt": "Image 1 [[fault:allocation-quota]]"}))
	require.True(t, refused, text)
	id := listed(w.answer("list_tasks", nil))[0]["task_id"]
	require.Nil(t, w.answer("get_task", arguments{"task_id": id, "wait_seconds": 0})["callback"], "its call has told it")
	made := w.answer("generate_r2v", wan27(arguments{"callback_url": r.URL}))
	r.wait(t)
	other := w.beside(t, shared, nil)
	var state any
	for range 100 { // the receiver has its answer before we have written it down
		if state = path(other.answer("get_task", arguments{"task_id": made["task_id"], "wait_seconds": 1}), "callback", "state"); state != "off" {
			break
		}
	}
	require.Equal(t, "delivered", state)
}
