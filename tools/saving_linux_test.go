package tools_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

// smallDisk is a disk of 256 kB, less than two clips of 15 seconds.
func smallDisk(t *testing.T) string {
	t.Helper()
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("a disk of 256 kB takes the right to mount it: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(disk, 0)) })
	return disk
}

// untold hides how long an answer is.
type untold struct{ http.ResponseWriter }

func (u untold) WriteHeader(status int) {
	u.Header().Del("Content-Length")
	u.ResponseWriter.WriteHeader(status)
}

// savingTo is a world whose clips go to a folder.
func savingTo(t *testing.T, dir string, announced bool) *world {
	t.Helper()
	sim := simulator.New(simulator.Options{Speed: 2000, APIKey: simulatedKey})
	w := &world{t: t, saveDir: dir}
	w.upstream = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !announced && strings.HasPrefix(r.URL.Path, "/results/") {
			rw = untold{rw}
		}
		sim.ServeHTTP(rw, r)
	}))
	t.Cleanup(w.upstream.Close)
	w.connect(w.set(options{}))
	return w
}

// unsaved makes a clip that cannot be saved, and checks that its owner is told all that matters: why, what to do, where
// the clip is, until when, and that saving goes on by itself.
func (w *world) unsaved(because ...string) (id any) {
	w.t.Helper()
	id = w.answer("generate_r2v", wan27(arguments{"duration": 15}))["task_id"]
	start := time.Now()
	task := w.answer("get_task", arguments{"task_id": id, "wait_seconds": 20})
	require.Less(w.t, time.Since(start), 10*time.Second, "nobody waits for a disk")
	require.Equal(w.t, "SUCCEEDED", task["status"])
	require.Equal(w.t, "yes", task["charged"])
	require.NotContains(w.t, task, "saved_to")
	require.NotEmpty(w.t, task["video_url"])
	dies := task["video_url_expires_at"]
	require.NotEmpty(w.t, dies)
	warning := fmt.Sprint(task["warnings"].([]any)[0])
	for _, words := range append(because, w.saveDir, "R2V_SAVE_DIR", "not saved yet", fmt.Sprintf("download video_url before it dies at %s; saving is tried again by itself", dies)) {
		require.Contains(w.t, warning, words)
	}
	require.Contains(w.t, task["next_step"], "saving is tried again by itself")
	require.Contains(w.t, task["next_step"], fmt.Sprintf("give the user video_url and say that it dies at %s", dies))
	require.Equal(w.t, task["warnings"], listed(w.answer("list_tasks", nil))[0]["warnings"], "the list tells it too")
	return id
}

// savedAtLast waits for a clip to be saved by itself.
func (w *world) savedAtLast(id any) {
	w.t.Helper()
	var task map[string]any
	require.Eventually(w.t, func() bool {
		task = w.answer("get_task", arguments{"task_id": id, "wait_seconds": 0})
		return task["saved_to"] != nil
	}, 20*time.Second, 50*time.Millisecond)
	require.Equal(w.t, filepath.Join(w.saveDir, fmt.Sprint(id)+".mp4"), task["saved_to"])
	require.FileExists(w.t, fmt.Sprint(task["saved_to"]))
	require.NotContains(w.t, task, "warnings", "what has passed is not told")
	require.Contains(w.t, task["next_step"], "Done")
}

func TestAFullDiskIsToldAndTheClipIsSavedWhenThereIsRoom(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		announced bool
		want      string
	}{
		"the size is announced": {true, "has no room for the clip, which takes"},
		"it is not":             {false, "is full (no space left on device): free some space on it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := savingTo(t, smallDisk(t), tt.announced)
			ballast := filepath.Join(w.saveDir, "ballast")
			require.NoError(t, os.WriteFile(ballast, make([]byte, 200<<10), 0o600))
			id := w.unsaved(tt.want)
			files, err := os.ReadDir(w.saveDir)
			require.NoError(t, err)
			for _, f := range files {
				if !tt.announced && strings.HasSuffix(f.Name(), ".part") {
					continue // the next try, which has just begun
				}
				require.Equal(t, "ballast", f.Name(), "nothing half done takes room")
			}
			require.NoError(t, os.Remove(ballast))
			w.savedAtLast(id)
			files, err = os.ReadDir(w.saveDir)
			require.NoError(t, err)
			require.Len(t, files, 1)
		})
	}
}

func TestADiskThatIsReadOnlyIsTold(t *testing.T) {
	t.Parallel()
	w := savingTo(t, smallDisk(t), true)
	require.NoError(t, syscall.Mount("", w.saveDir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	id := w.unsaved("cannot be written to (read-only file system): make it writable")
	require.NoError(t, syscall.Mount("", w.saveDir, "", syscall.MS_REMOUNT, ""))
	w.savedAtLast(id)
}

func TestAFolderThatIsNoneIsTold(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		dir         string
		spoil, mend func(path string) error
		want        string
	}{
		"a file in its place": {"file", func(path string) error { return os.WriteFile(path, nil, 0o600) }, os.Remove, "is no folder (not a directory): move the file away"},
		"a file above it":     {"file/videos", func(path string) error { return os.WriteFile(filepath.Dir(path), nil, 0o600) }, func(path string) error { return os.Remove(filepath.Dir(path)) }, "is no folder (not a directory): move the file away"},
		"a link to nothing":   {"link", func(path string) error { return os.Symlink("nowhere", path) }, os.Remove, "is no folder"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), tt.dir)
			require.NoError(t, tt.spoil(dir))
			w := savingTo(t, dir, true)
			id := w.unsaved(tt.want)
			require.NoError(t, tt.mend(dir))
			w.savedAtLast(id)
		})
	}
}

func TestAFolderThatMayNotBeWrittenIsTold(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere; a disk that is read-only is told in the same way")
	}
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o500))
	w := savingTo(t, dir, true)
	id := w.unsaved("cannot be written to (permission denied): make it writable")
	require.NoError(t, os.Chmod(dir, 0o700))
	w.savedAtLast(id)
}

func TestAFolderThatVanishedIsMadeAnew(t *testing.T) {
	t.Parallel()
	w := savingTo(t, filepath.Join(t.TempDir(), "videos"), true)
	first := w.answer("generate_r2v", wan27(nil))["task_id"]
	w.savedAtLast(first)
	require.NoError(t, os.RemoveAll(w.saveDir))
	w.savedAtLast(w.answer("generate_r2v", wan27(arguments{"seed": 1}))["task_id"])
}
