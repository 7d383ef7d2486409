package provider_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/video"
)

func TestOnlyAPendingTaskIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := simulate(t)
		id, runs := p.create("Image 1 dances"), p.create("Image 1 sings")
		require.NoError(t, p.Cancel(t.Context(), id))
		s, err := p.Look(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, video.Canceled, s.Status)

		time.Sleep(10 * time.Second)
		for _, late := range []string{id, runs, "502a00b1"} {
			e := failure(t, p.Cancel(t.Context(), late))
			require.Equal(t, "NotPending", e.Code)
			require.Equal(t, video.NotCharged, e.Charged)
			require.False(t, e.Retryable)
			require.NotEmpty(t, e.RequestID)
			for _, words := range []string{"running or has ended", "cannot be stopped", "billed if it succeeds", "get_task"} {
				require.Contains(t, e.Advice, words)
			}
		}
		s, err = p.Look(t.Context(), runs)
		require.NoError(t, err)
		require.Equal(t, video.Running, s.Status)
	})
}

func TestTheRecordedRefusalToCancel(t *testing.T) {
	for _, status := range []int{http.StatusBadRequest, http.StatusOK} {
		e := failure(t, answering(t, status, recorded(t, "cancel-refused-400-not-pending.json")).Cancel(context.Background(), "a"))
		require.Equal(t, "NotPending", e.Code)
		require.Equal(t, "Failed to cancel the task, please confirm if the task is in PENDING status.", e.Message)
		require.Equal(t, "4d496c94-1389-9ca9-a92a-3e732f675686", e.RequestID)
		require.False(t, e.Retryable)
	}
	require.NoError(t, answering(t, http.StatusOK, recorded(t, "cancel-accepted.json")).Cancel(context.Background(), "a"))
}

// It does not matter what became of the question: it is free, and it may be asked again.
func TestAnUnansweredCancelMayBeAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := simulate(t)
		for _, fault := range []string{"drop-before", "drop-after", "503", "503-after", "html-502", "504", "empty-200", "garbage-200"} {
			id := p.create("Image 1 dances")
			p.arm(fault, "cancel")
			e := failure(t, p.Cancel(t.Context(), id))
			require.Equal(t, video.NotCharged, e.Charged, fault)
			require.True(t, e.Retryable, fault)
			require.Contains(t, e.Advice, "Asking again is free", fault)
			require.Contains(t, e.Advice, "not known", fault)
		}
	})
}

// "Nothing was charged" is true of the refused cancel, but would be taken for the clip, which goes on.
func TestARefusedCancelSaysNothingOfTheClipsPrice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := simulate(t)
		id := p.create("Image 1 dances")
		for fault, retryable := range map[string]bool{"throttled": true, "invalid-api-key": false, "access-denied": false} {
			p.arm(fault, "cancel")
			e := failure(t, p.Cancel(t.Context(), id))
			require.Equal(t, video.NotCharged, e.Charged, fault)
			require.Equal(t, retryable, e.Retryable, fault)
			require.NotEmpty(t, e.Advice, fault)
			require.NotContains(t, e.Advice, "charged", fault)
		}
	})
}

func TestWithoutAKeyEverythingIsRefused(t *testing.T) {
	var p provider.Provider = provider.WithoutKey{Of: provider.DashScopeWords()}
	_, create := p.Create(t.Context(), provider.Purchase{})
	_, look := p.Look(t.Context(), "a")
	_, list := p.List(t.Context(), time.Now(), time.Now(), 1)
	_, upload := p.Upload(t.Context(), "wan2.7-r2v", provider.File{})
	for _, err := range []error{create, look, p.Cancel(t.Context(), "a"), list, upload} {
		require.Equal(t, "NoAPIKey", failure(t, err).Code)
		require.Equal(t, video.NotCharged, failure(t, err).Charged)
	}
}

// The prompt is how a task whose id was lost is known again: not a character of it may change.
func TestLookTellsThePromptAsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := simulate(t)
		const prompt = "Image 1 \n dances,  \"é\" & <b> 舞 \u200d"
		id := p.create(prompt)
		s, err := p.Look(t.Context(), id)
		require.NoError(t, err)
		require.Empty(t, s.Prompt, "the service tells it at the end only")
		time.Sleep(time.Hour)
		s, err = p.Look(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, prompt, s.Prompt)
	})
	s, err := answering(t, http.StatusOK, recorded(t, "task-succeeded-wan2.7.json")).Look(context.Background(), "a")
	require.NoError(t, err)
	require.Equal(t, "Video 2 holds Image 3 ...", s.Prompt)
}
