package main_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hangsAtFirst takes n messages without a word, and all after them.
func hangsAtFirst(n int) func(int) int {
	return func(nth int) int {
		if nth <= n {
			return 0
		}
		return http.StatusNoContent
	}
}

// delivered waits until a task's callback is recorded as delivered, and returns how many attempts it took.
func delivered(t *testing.T, p *process, id string) (attempts int) {
	t.Helper()
	require.Eventually(t, func() bool {
		c := p.callbackOf(id)
		attempts = c.Attempts
		return c.State == "delivered"
	}, 5*time.Second, 20*time.Millisecond)
	return attempts
}

// The receiver has the message, and the server is killed before it has an answer: what a killed server was at is another's after half a minute.
func TestAServerThatIsKilledWhileItsReceiverThinksIsFollowedByAnotherWithTheSameMessage(t *testing.T) {
	t.Parallel()
	s, home := newService(t, 600), t.TempDir()
	h := newHook(t, hangsAtFirst(1))
	env := append(s.env(home), h.env(home)...)
	first := greeted(t, env...)
	made := first.ask("generate_r2v", calling(h, "half way")).answer
	h.wait(1, 20*time.Second)
	first.kill()
	second := greetedFor(t, 2*time.Minute, env...)
	defer second.stop()
	c := second.callbackOf(made.TaskID)
	require.Equal(t, 1, c.Attempts)
	require.Equal(t, "retrying", c.State)
	all := h.wait(1, time.Minute)
	require.Len(t, all, 2)
	require.NotEmpty(t, verified(t, all))
	require.InDelta(t, 31, all[1].at.Sub(all[0].at).Seconds(), 5)
	require.Equal(t, 2, delivered(t, second, made.TaskID))
	require.EqualValues(t, 1, s.creates.Load())
}

// The end of a conversation does not wait for a receiver that hangs, and the next server is at it at once.
func TestAReceiverThatHangsDoesNotHoldTheEndOfAConversation(t *testing.T) {
	t.Parallel()
	s, home := newService(t, 600), t.TempDir()
	h := newHook(t, hangsAtFirst(1))
	env := append(s.env(home), h.env(home)...)
	first := greeted(t, env...)
	made := first.ask("generate_r2v", calling(h, "and hangs up")).answer
	h.wait(1, 20*time.Second)
	from := time.Now()
	first.stop()
	require.Less(t, time.Since(from), 2*time.Second)
	require.NotContains(t, first.stderr.String(), "callback not delivered", "it is not the receiver's failure")
	second := greeted(t, env...)
	defer second.stop()
	all := h.wait(1, 10*time.Second)
	require.Len(t, all, 2)
	require.NotEmpty(t, verified(t, all))
	require.Equal(t, 1, delivered(t, second, made.TaskID))
}

// What is due is sent by whoever runs, with a key to the service or without.
func TestAServerWithoutAKeySendsWhatIsDue(t *testing.T) {
	t.Parallel()
	s, home := newService(t, 600), t.TempDir()
	h := newHook(t, hangsAtFirst(1))
	env := append(s.env(home), h.env(home)...)
	first := greeted(t, env...)
	made := first.ask("generate_r2v", calling(h, "without a key")).answer
	h.wait(1, 20*time.Second)
	first.stop()
	var keyless []string
	for _, setting := range env {
		if !strings.HasPrefix(setting, "DASHSCOPE_API_KEY=") {
			keyless = append(keyless, setting)
		}
	}
	second := greeted(t, keyless...)
	defer second.stop()
	require.NotEmpty(t, verified(t, h.wait(1, 10*time.Second)))
	require.Equal(t, 1, delivered(t, second, made.TaskID))
}
