package clips_test

import (
	"bytes"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A clip passes through: what is held of it does not grow with it.
func TestALargeClipIsNotHeldInMemory(t *testing.T) {
	head := wholeClip(t)
	rest := box(100 << 20)[:16]
	total := int64(len(head)) + 100<<20
	zeros := io.LimitReader(zero{}, 100<<20-16)
	b := startS3(t).bucket(t, download{io.MultiReader(bytes.NewReader(head), bytes.NewReader(rest), zeros), total})
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	highest := uint64(0)
	done := make(chan error)
	from := time.Now()
	go func() { _, err := b.Save(t.Context(), "r2v-x", resultLink); done <- err }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for saving := true; saving; {
		select {
		case err := <-done:
			require.NoError(t, err)
			saving = false
		case <-tick.C:
		}
		runtime.ReadMemStats(&now)
		highest = max(highest, now.HeapAlloc)
	}
	grown := int64(highest) - int64(before.HeapAlloc)
	t.Logf("100 MB in %v: the heap grew by %d kB, %d kB were allocated in all", time.Since(from), grown/1000, (now.TotalAlloc-before.TotalAlloc)/1000)
	require.Less(t, grown, int64(4<<20))
}

type zero struct{}

func (zero) Read(p []byte) (int, error) { clear(p); return len(p), nil }
