package preflight_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/local"
	"r2v-mcp/internal/preflight"
	"r2v-mcp/internal/video"
)

func TestLocalFilesAreMeasuredAndSummedUpForAPurchase(t *testing.T) {
	dir := t.TempDir()
	content := made(t, 5*time.Second)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "anna.mp4"), content, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret.txt"), []byte("not media"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cut.mp4"), content[:len(content)/2], 0o600))
	p := &preflight.Preflight{Folders: func(context.Context) local.Folders { return local.Folders{Roots: []string{dir}} }}
	looked := p.Look(t.Context(), refs("anna.mp4", filepath.Join(dir, "anna.mp4")))
	for _, ref := range looked {
		require.True(t, ref.Medium.Local)
		require.Equal(t, "5", ref.Medium.Seconds.String())
		require.Empty(t, ref.Medium.Sum, "an estimate reads no file whole")
	}
	require.NoError(t, p.Sum(t.Context(), looked))
	want := sha256.Sum256(content)
	require.Equal(t, hex.EncodeToString(want[:]), looked[0].Medium.Sum)
	require.Equal(t, looked[0].Medium, looked[1].Medium)
	require.Contains(t, look(t, p, "cut.mp4").Wrong, "broken")
	require.Equal(t, "txt", look(t, p, "secret.txt").Format)
	require.Contains(t, look(t, p, "/etc/passwd").Wrong, "/etc/passwd")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "anna.mp4"), made(t, 6*time.Second), 0o600))
	require.ErrorContains(t, p.Sum(t.Context(), looked), "anna.mp4: it has changed since it was looked at")
	require.Equal(t, "6", look(t, p, "anna.mp4").Seconds.String(), "a file that was changed is another one")
	require.NoError(t, os.Remove(filepath.Join(dir, "anna.mp4")))
	err := p.Sum(t.Context(), looked)
	require.ErrorContains(t, err, "anna.mp4: it is gone, or may no longer be read")
	require.NotContains(t, err.Error(), dir)
}

func TestADriveThatIsGoneHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		back := make(chan struct{})
		p := &preflight.Preflight{Folders: func(context.Context) local.Folders { <-back; return local.Folders{} }}
		start := time.Now()
		seen := look(t, p, "anna.mp4")
		require.Less(t, time.Since(start), 5*time.Second)
		require.True(t, seen.Local)
		require.Empty(t, seen.Wrong, "that may be over in a moment")
		require.Contains(t, seen.Unseen, "in time")
		close(back)
	})
}

func TestADriveThatGoesAfterTheLookHoldsUpNoPurchase(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "anna.mp4"), made(t, 2*time.Second), 0o600))
	back, gone := make(chan struct{}), atomic.Bool{}
	p := &preflight.Preflight{Folders: func(context.Context) local.Folders {
		if gone.Load() {
			<-back
		}
		return local.Folders{Roots: []string{dir}}
	}}
	looked := p.Look(t.Context(), refs("anna.mp4"))
	require.NoError(t, p.Sum(t.Context(), looked))
	gone.Store(true)
	defer close(back)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, p.Sum(ctx, looked), "anna.mp4: it could not be read in time")
	_, err := p.Bring(ctx, &video.Report{Request: video.Request{References: looked}, Inline: []bool{false}}, nil)
	require.ErrorContains(t, err, "it could not be read in time")
}

func TestACrashWhileLookingIsAWarning(t *testing.T) {
	p := &preflight.Preflight{Folders: func(context.Context) local.Folders { panic("a bug") }}
	require.Contains(t, look(t, p, "anna.mp4").Unseen, "bug of r2v-mcp")
}
