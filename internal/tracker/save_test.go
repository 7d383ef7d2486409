package tracker_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/clips"
	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/simulator/simulatortest"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
)

// saving makes a tracker save into a folder that a test may spoil.
func saving(t *testing.T, tr *tracker.Tracker, sim http.Handler) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "videos")
	tr.Saver = clips.Folder{Dir: dir, Client: &http.Client{Transport: simulatortest.Transport(sim)}}
	return dir
}

func TestAClipIsSavedThoughNobodyAsks(t *testing.T) {
	for fault, warning := range map[string]string{
		"":                                 "",
		"[[fault:short-clip@result x2]]":   "",
		"[[fault:half-clip@result x2]]":    "",
		"[[fault:expired-link@result x3]]": "",
		"[[fault:503@get x3]]":             "",
		"[[fault:wrong-length@result]]":    "the clip is 4 s long, and 5 s are billed",
	} {
		t.Run("with "+fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path, sim := filepath.Join(t.TempDir(), "ledger.db"), simulator.New(simulator.Options{})
				tr := onLedger(t, path, sim)
				dir := saving(t, tr, sim)
				stop := run(t, tr)
				task, _, err := tr.Create(t.Context(), order(t, "Image 1 waves "+fault))
				require.NoError(t, err)
				time.Sleep(5 * time.Minute)
				stop()
				pass(t, tr, 25*time.Minute)
				task, err = tr.Wait(t.Context(), "", task.ID, 0)
				require.NoError(t, err)
				require.Equal(t, filepath.Join(dir, task.ID+".mp4"), task.SavedTo)
				require.Equal(t, warning, task.SaveError)
				files, err := os.ReadDir(dir)
				require.NoError(t, err)
				require.Len(t, files, 1, "nothing half done is left")
			})
		})
	}
}

func TestAFolderThatCannotBeWrittenIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, sim := filepath.Join(t.TempDir(), "ledger.db"), simulator.New(simulator.Options{})
		tr := onLedger(t, path, sim)
		dir := saving(t, tr, sim)
		require.NoError(t, os.WriteFile(dir, []byte("a file where a folder is to be"), 0o600))
		run(t, tr)
		task, _, err := tr.Create(t.Context(), order(t, "Image 1 waves"))
		require.NoError(t, err)
		task, err = tr.Wait(t.Context(), "", task.ID, time.Hour)
		require.NoError(t, err)
		require.Equal(t, dir+" is no folder (not a directory): move the file away that is in its place, or set R2V_SAVE_DIR to another folder", task.SaveError)
		require.NotEmpty(t, task.VideoURL)
		require.NoError(t, os.Remove(dir))
		time.Sleep(11 * time.Minute)
		task, err = tr.Wait(t.Context(), "", task.ID, 0)
		require.NoError(t, err)
		require.FileExists(t, task.SavedTo)
		require.Empty(t, task.SaveError)
	})
}

func TestADeadLinkIsGivenUpAndTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, sim := filepath.Join(t.TempDir(), "ledger.db"), simulator.New(simulator.Options{})
		tr := onLedger(t, path, sim)
		saving(t, tr, sim)
		task, _, err := tr.Create(t.Context(), order(t, "Image 1 waves [[fault:expired-link@result]]"))
		require.NoError(t, err)
		for range 28 * 6 { // 28 hours
			tr.Round(t.Context())
			time.Sleep(10 * time.Minute)
		}
		tried := counted(t, sim, "result")
		require.Greater(t, tried, 20)
		tr.Round(t.Context())
		time.Sleep(time.Hour)
		require.Equal(t, tried, counted(t, sim, "result"), "nobody tries a link that is dead")
		task, err = tr.Wait(t.Context(), "", task.ID, time.Minute)
		require.NoError(t, err)
		require.Equal(t, video.Succeeded, task.Status)
		require.Equal(t, video.WasCharged, task.Charged())
		require.Contains(t, task.SaveError, "HTTP 403")
	})
}

func TestProcessesShareTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, sim := filepath.Join(t.TempDir(), "ledger.db"), simulator.New(simulator.Options{Concurrent: 40})
		var all []*tracker.Tracker
		var stop []func()
		dir := filepath.Join(t.TempDir(), "videos")
		for range 4 {
			tr := onLedger(t, path, sim)
			tr.Saver = clips.Folder{Dir: dir, Client: &http.Client{Transport: simulatortest.Transport(sim)}}
			stop = append(stop, run(t, tr))
			all = append(all, tr)
		}
		var ids []string
		for i := range 40 {
			task, _, err := all[i%4].Create(t.Context(), order(t, "Image 1 waves "+time.Duration(i).String()))
			require.NoError(t, err)
			ids = append(ids, task.ID)
		}
		for _, end := range stop[:3] { // and one of them carries on alone
			end()
		}
		for _, id := range ids {
			task, err := all[3].Wait(t.Context(), "", id, time.Hour)
			require.NoError(t, err)
			require.FileExists(t, task.SavedTo)
			require.Less(t, time.Since(task.EndedAt), time.Hour)
		}
		require.Equal(t, 40, counted(t, sim, "tasks"))
		require.Equal(t, 40, counted(t, sim, "result"), "each clip was downloaded once")
	})
}

func TestATaskAboutToBeForgottenIsRaisedLoudly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, sim := filepath.Join(t.TempDir(), "ledger.db"), simulator.New(simulator.Options{})
		tr := onLedger(t, path, sim)
		var log bytes.Buffer
		tr.Logger = slog.New(slog.NewTextHandler(&log, nil))
		task, _, err := tr.Create(t.Context(), order(t, "Image 1 waves [[fault:503@get]]"))
		require.NoError(t, err)
		for range 24 {
			tr.Round(t.Context())
			time.Sleep(59 * time.Minute)
		}
		require.Contains(t, log.String(), "level=ERROR msg=\"a task is about to be forgotten")
		require.Contains(t, log.String(), task.ID)
		require.NotContains(t, log.String(), "waves")
	})
}

func TestOnlyWhatHasNotBegunIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, sim := follow(t)
		task, _, err := tr.Create(t.Context(), order(t, "Image 1 waves"))
		require.NoError(t, err)
		task, err = tr.Cancel(t.Context(), "", task.ID)
		require.NoError(t, err)
		require.Equal(t, video.Canceled, task.Status)
		require.Equal(t, video.NotCharged, task.Charged())
		_, err = tr.Cancel(t.Context(), "", task.ID)
		require.NoError(t, err, "it is cancelled, which is what was asked for")

		task, _, err = tr.Create(t.Context(), order(t, "Image 1 runs"))
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		task, err = tr.Cancel(t.Context(), "", task.ID)
		require.ErrorContains(t, err, "NotPending")
		require.Equal(t, video.Running, task.Status)
		require.Equal(t, 2, counted(t, sim, "cancel"))
	})
}
