package tracker_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/simulator/simulatortest"
	"r2v-mcp/internal/video"
)

var errDiskFull = errors.New("disk full")

// failing makes a change of tasks fail in the ledger's file, as a disk does.
func failing(t *testing.T, path, change string) (mend func()) {
	t.Helper()
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)")
	require.NoError(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), "CREATE TRIGGER r2v_failing BEFORE "+change+" ON r2v_task BEGIN SELECT RAISE(ABORT, 'disk full'); END")
	require.NoError(t, err)
	return func() {
		db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)")
		require.NoError(t, err)
		defer db.Close()
		_, err = db.ExecContext(t.Context(), "DROP TRIGGER r2v_failing")
		require.NoError(t, err)
	}
}

func TestWhatIsBoughtIsToldAlthoughItCouldNotBeRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, sim := follow(t)
		first, _, err := tr.Create(t.Context(), order(t, "Image 1 sleeps"))
		require.NoError(t, err)
		mend := failing(t, tr.Ledger.Path, "UPDATE OF provider_task_id")
		start := time.Now()
		_, _, err = tr.Create(t.Context(), order(t, "Image 1 waves"))
		require.Less(t, time.Since(start), 15*time.Second)
		var failure *video.Error
		require.ErrorAs(t, err, &failure)
		require.Equal(t, video.ChargedUnknown, failure.Charged)
		require.Contains(t, failure.Message, "disk full")
		require.Regexp(t, `The clip is bought. Keep provider_task_id [0-9a-f-]{36}`, failure.Advice)

		mend()
		require.Equal(t, 2, counted(t, sim, "create"))
		task, replayed, err := tr.Create(t.Context(), order(t, "Image 1 waves"))
		require.NoError(t, err)
		require.True(t, replayed)
		require.NotEqual(t, first.ID, task.ID)
		task, err = tr.Wait(t.Context(), "", task.ID, time.Hour)
		require.NoError(t, err)
		require.Equal(t, video.Succeeded, task.Status, "it was found in the list")
		require.Contains(t, failure.Advice, task.ProviderTaskID)
		require.Equal(t, 2, counted(t, sim, "create"))
	})
}

// slow answers late.
type slow struct {
	http.RoundTripper
	by time.Duration
}

func (s slow) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(s.by)
	return s.RoundTripper.RoundTrip(r)
}

func TestOneFailureHidesNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, sim := filepath.Join(t.TempDir(), "ledger.db"), simulator.New(simulator.Options{})
		tr := onLedger(t, path, sim)
		made := doubted(t, tr, "Image 1 waves [[fault:drop-after]]")
		time.Sleep(10 * time.Minute)
		lost := doubted(t, tr, "Image 1 runs [[fault:drop-before]]")
		require.NoError(t, tr.Ledger.Troubled(t.Context(), lost.ID, &video.Failure{Code: "NotSeen"}))
		db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)")
		require.NoError(t, err)
		defer db.Close()
		for column, id := range map[string]string{"provider_task_id": made.ID, "trouble": lost.ID} {
			_, err = db.ExecContext(t.Context(), fmt.Sprintf("CREATE TRIGGER r2v_%s BEFORE UPDATE OF %[1]s ON r2v_task WHEN OLD.id = '%s' BEGIN SELECT RAISE(ABORT, 'no new %[1]s'); END", column, id))
			require.NoError(t, err)
		}
		var log bytes.Buffer
		tr.Logger = slog.New(slog.NewTextHandler(&log, nil))
		tr.Round(t.Context())
		require.Contains(t, log.String(), "no new provider_task_id")
		require.Contains(t, log.String(), "no new trouble")
	})
}

func TestSlowPurchaseIsAnsweredBeforeTheClientGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, sim := follow(t)
		tr.Provider = providerOver(t, slow{simulatortest.Transport(sim), 55 * time.Second})
		start := time.Now()
		task, replayed, err := tr.Create(t.Context(), order(t, "Image 1 waves"))
		require.NoError(t, err)
		require.False(t, replayed)
		require.Equal(t, 40*time.Second, time.Since(start))
		require.Equal(t, video.Pending, task.Status)
		require.Empty(t, task.ProviderTaskID)

		again, replayed, err := tr.Create(t.Context(), order(t, "Image 1 waves"))
		require.NoError(t, err)
		require.True(t, replayed, "whoever asks again waits for the same purchase")
		require.Equal(t, task.ID, again.ID)
		require.NotEmpty(t, again.ProviderTaskID)
		require.Equal(t, 55*time.Second, time.Since(start))
	})
}

func TestDrainWaitsForAPurchaseUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, sim := follow(t)
		tr.Provider = providerOver(t, slow{simulatortest.Transport(sim), 30 * time.Second})
		ctx, hangUp := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, hangUp)
		task, _, err := tr.Create(ctx, order(t, "Image 1 waves"))
		require.NoError(t, err)
		require.Empty(t, task.ProviderTaskID)
		tr.Drain()
		task, err = tr.Ledger.Task(t.Context(), task.ID)
		require.NoError(t, err)
		require.NotEmpty(t, task.ProviderTaskID, "the purchase was finished and recorded")
	})
}

// crashing panics where a provider is asked.
type crashing struct{}

func (crashing) Words() provider.Words { return provider.DashScopeWords() }
func (crashing) Create(context.Context, provider.Purchase) (provider.Bought, error) {
	panic("create")
}
func (crashing) Look(context.Context, string) (video.Snapshot, error) { panic("look") }
func (crashing) Bill(context.Context, string, time.Time) (*decimal.Decimal, error) {
	panic("bill")
}
func (crashing) Cancel(context.Context, string) error { panic("cancel") }
func (crashing) List(context.Context, time.Time, time.Time, int) (provider.Page, error) {
	panic("list")
}
func (crashing) Upload(context.Context, string, provider.File) (provider.Uploaded, error) {
	panic("upload")
}
func (crashing) Save(context.Context, string, string) (video.Clip, error) { panic("save") }

func TestPanicEndsNeitherTheProgramNorATask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, _ := follow(t)
		task, _, err := tr.Create(t.Context(), order(t, "Image 1 waves"))
		require.NoError(t, err)
		tr.Provider = crashing{}
		task, err = tr.Wait(t.Context(), "", task.ID, time.Minute)
		require.ErrorContains(t, err, "this is a bug of r2v-mcp")
		require.Equal(t, video.Pending, task.Status)

		task, _, err = tr.Create(t.Context(), order(t, "Image 1 runs"))
		require.NoError(t, err)
		require.Equal(t, video.Unknown, task.Status, "a purchase that crashed may have cost money")
	})
}

func TestFailedSaveEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, _ := follow(t)
		tr.Saver = refusing{}
		task, _, err := tr.Create(t.Context(), order(t, "Image 1 waves"))
		require.NoError(t, err)
		start := time.Now()
		task, err = tr.Wait(t.Context(), "", task.ID, time.Hour)
		require.NoError(t, err)
		require.Equal(t, video.Succeeded, task.Status)
		require.Equal(t, "disk full", task.SaveError)
		require.Less(t, time.Since(start), 10*time.Minute)
	})
}

func TestCrashingSaveEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, _ := follow(t)
		tr.Saver = crashing{}
		task, _, err := tr.Create(t.Context(), order(t, "Image 1 waves"))
		require.NoError(t, err)
		task, err = tr.Wait(t.Context(), "", task.ID, time.Hour)
		require.NoError(t, err)
		require.Equal(t, video.Succeeded, task.Status)
		require.Contains(t, task.SaveError, "this is a bug of r2v-mcp")
	})
}

func TestNothingIsBoughtOnceTheEndIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, sim := follow(t)
		tr.Drain()
		_, _, err := tr.Create(t.Context(), order(t, "Image 1 waves"))
		require.ErrorContains(t, err, "about to end")
		require.Zero(t, counted(t, sim, "create"))
	})
}

type refusing struct{}

func (refusing) Save(context.Context, string, string) (video.Clip, error) {
	return video.Clip{}, errDiskFull
}

// A word that nobody has documented is no end. After a day it is one: the service has forgotten the task, whatever it says.
func TestATaskThatNeverEndsIsGivenUpAfterADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := simulator.New(simulator.Options{})
		tr := onLedger(t, filepath.Join(t.TempDir(), "ledger.db"), sim)
		task, _, err := tr.Create(t.Context(), order(t, "Image 1 waves"))
		require.NoError(t, err)
		tr.Provider = providerOver(t, instead{simulatortest.Transport(sim), func(path string) (int, string) {
			if strings.HasSuffix(path, task.ProviderTaskID) {
				return http.StatusOK, fmt.Sprintf(`{"request_id":"r","output":{"task_id":%q,"task_status":"SUSPENDED","submit_time":"2000-01-01 08:00:00.000"}}`, task.ProviderTaskID)
			}
			return 0, ""
		}})
		time.Sleep(20 * time.Hour)
		tr.Round(t.Context())
		task, err = tr.Wait(t.Context(), "", task.ID, 0)
		require.NoError(t, err)
		require.Equal(t, video.Running, task.Status)
		time.Sleep(6 * time.Hour)
		tr.Round(t.Context())
		task, err = tr.Wait(t.Context(), "", task.ID, 0)
		require.NoError(t, err)
		require.Equal(t, video.Unknown, task.Status)
		require.Equal(t, video.ChargedUnknown, task.Charged())
	})
}

// The clock was a day behind at the purchase: the service's own time says that the task is young.
func TestATaskIsNotGivenUpForAClockThatWasWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, _ := follow(t)
		task, _, err := tr.Create(t.Context(), order(t, "Image 1 waves"))
		require.NoError(t, err)
		setBack(t, tr, -26*time.Hour)
		task, err = tr.Wait(t.Context(), "", task.ID, time.Hour)
		require.NoError(t, err)
		require.Equal(t, video.Succeeded, task.Status)
	})
}
