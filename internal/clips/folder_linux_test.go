package clips_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whoever opens a pipe waits for the other end of it.
func TestAPipeOfAClipsNameHoldsUpNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "r2v-x.mp4")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	_, err := saveIn(t, dir, "r2v-x", all(wholeClip(t)))
	require.NoError(t, err)
	info, err := os.Lstat(path)
	require.NoError(t, err)
	require.True(t, info.Mode().IsRegular())
}
