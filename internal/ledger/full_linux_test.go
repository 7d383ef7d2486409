package ledger_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/video"
)

func TestAFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("a disk of one megabyte takes the right to mount it: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(disk, 0)) })
	ballast := filepath.Join(disk, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 400_000), 0o600))
	l := at(t, filepath.Join(disk, "ledger.db"))
	var claimed []string
	var err error
	for i := 0; err == nil; i++ {
		o := order(strconv.Itoa(i), strconv.Itoa(i))
		o.Request.Prompt = strings.Repeat("long ", 2000)
		var task video.Task
		if task, _, err = l.Claim(t.Context(), o); err == nil {
			claimed = append(claimed, task.ID)
		}
	}
	require.ErrorContains(t, err, "the disk is full")
	require.Contains(t, refuses(t, l).Advice, "Make room")
	require.NoError(t, os.Remove(ballast))
	bought(t, l, order("there is room again", ""), "theirs")
	for _, id := range claimed {
		_, err := l.Task(t.Context(), id)
		require.NoError(t, err)
	}
}
