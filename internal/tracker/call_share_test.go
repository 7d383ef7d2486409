package tracker_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
)

func TestManyProcessesSendEachCallbackOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, sim := filepath.Join(t.TempDir(), "ledger.db"), simulator.New(simulator.Options{Concurrent: 40})
		var all []*receivers
		var trackers []*tracker.Tracker
		for range 4 {
			tr := onLedger(t, path, sim)
			all = append(all, calling(tr, delivered))
			trackers = append(trackers, tr)
			run(t, tr)
		}
		for i := range 20 {
			create(t, trackers[i%4], hooked(t, fmt.Sprint("Image 1 waves ", i)))
		}
		time.Sleep(20 * time.Minute)
		ids := map[string]int{}
		for _, r := range all {
			for _, a := range r.all() {
				ids[a.id]++
			}
		}
		require.Len(t, ids, 20)
		for _, n := range ids {
			require.Equal(t, 1, n)
		}
	})
}

// due makes callbacks due without a service.
func due(t *testing.T, tr *tracker.Tracker, owner string, n int) {
	t.Helper()
	for i := range n {
		o := hooked(t, fmt.Sprint(owner, i))
		o.Owner, o.CallbackURL = owner, "https://"+cmp.Or(owner, "nobody")+".example/"
		task, _, err := tr.Ledger.Claim(t.Context(), o)
		require.NoError(t, err)
		_, err = tr.Ledger.Bought(t.Context(), task.ID, task.ID+"-theirs", false)
		require.NoError(t, err)
		_, _, err = tr.Ledger.Looked(t.Context(), task.ID, video.Snapshot{Status: video.Failed}, time.Time{})
		require.NoError(t, err)
	}
}

func TestNobodyWaitsForTheReceiverOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, _ := alone(t)
		tr.Named = true
		slow := func(n int, address string) video.Delivery {
			if address != "https://bob.example/" {
				time.Sleep(10 * time.Second)
			}
			return delivered(n, address)
		}
		r := calling(tr, slow)
		due(t, tr, "anna", 60)
		due(t, tr, "bob", 3)
		from := time.Now()
		run(t, tr)
		time.Sleep(3 * time.Second)
		bobs := 0
		for _, a := range r.all() {
			if a.address == "https://bob.example/" {
				bobs++
				require.Less(t, a.at.Sub(from), 3*time.Second)
			}
		}
		require.Equal(t, 3, bobs)
		time.Sleep(10 * time.Minute)
		require.Len(t, r.all(), 63)
		require.Equal(t, 16, r.top, "who is alone has all the room that there is")
	})
}

func TestThoseOfPeopleAreSentByAServerForPeople(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, sim := filepath.Join(t.TempDir(), "ledger.db"), simulator.New(simulator.Options{})
		mine := onLedger(t, path, sim)
		r := calling(mine, delivered)
		due(t, mine, "anna", 1)
		due(t, mine, "", 1)
		run(t, mine)
		time.Sleep(time.Minute)
		require.Len(t, r.all(), 1)
		require.Equal(t, "https://nobody.example/", r.all()[0].address)
		server := onLedger(t, path, sim)
		server.Named = true
		r = calling(server, delivered)
		run(t, server)
		time.Sleep(time.Minute)
		require.Len(t, r.all(), 1)
		require.Equal(t, "https://anna.example/", r.all()[0].address)
	})
}

func TestAMessageThatCannotBeMadeHarmsNothing(t *testing.T) {
	for name, body := range map[string]func(context.Context, video.Task) ([]byte, error){
		"an error": func(context.Context, video.Task) ([]byte, error) { return nil, errors.New("no storage") },
		"a crash":  func(context.Context, video.Task) ([]byte, error) { panic("canary") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr, _ := alone(t)
				r := calling(tr, delivered)
				good, n := tr.Body, 0
				tr.Body = func(ctx context.Context, task video.Task) ([]byte, error) {
					if n++; n == 1 {
						return body(ctx, task)
					}
					return good(ctx, task)
				}
				run(t, tr)
				task := create(t, tr, hooked(t, "Image 1 waves"))
				time.Sleep(10 * time.Minute)
				require.Len(t, r.all(), 1)
				require.Equal(t, 2, now(t, tr, task.ID).Callback.Attempts)
			})
		})
	}
}

func TestAPurchaseOfUnknownFateIsToldWhenItIsSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, _ := alone(t)
		r := calling(tr, delivered)
		run(t, tr)
		task := create(t, tr, hooked(t, "Image 1 [[fault:drop-before]]"))
		require.Equal(t, video.Unknown, task.Status)
		require.Empty(t, r.all())
		time.Sleep(time.Hour)
		require.Len(t, r.all(), 1)
		require.Contains(t, r.all()[0].body, "FAILED")
	})
}
