package auth_test

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/auth"
)

// Who adds a line has looked at all lines before: nobody adds one in between.
func TestOneAddsALineAtATime(t *testing.T) {
	t.Parallel()
	path := fileOf(t)
	other, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	require.NoError(t, syscall.Flock(int(other.Fd()), syscall.LOCK_EX))
	added := make(chan error, 1)
	go func() { added <- auth.AppendLine(path, "alice "+hashed(alices)) }()
	select {
	case err := <-added:
		require.FailNow(t, "it did not wait", err)
	case <-time.After(50 * time.Millisecond):
	}
	_, err = other.WriteString("bob " + hashed(alices) + "\n")
	require.NoError(t, err)
	require.NoError(t, other.Close())
	require.ErrorContains(t, <-added, "the token of line 1 again")
}

func TestAFIFOHoldsNobody(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/tokens"
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	_, err := auth.OpenTokens(path, logTo(&journal{}))
	require.ErrorContains(t, err, "no regular file")
	require.ErrorContains(t, auth.AppendLine(path, "alice "+hashed(alices)), "no regular file")
}
