package simulator_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/simulator/simulatortest"
)

// internet has two clips, and counts who comes.
type internet struct {
	visits atomic.Int32
	hold   time.Duration
}

func (n *internet) RoundTrip(r *http.Request) (*http.Response, error) {
	n.visits.Add(1)
	select {
	case <-time.After(n.hold):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return simulatortest.Transport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/dancer.mp4", "/clip":
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(films()["index last"].content))
		case "/page.mp4":
			_, _ = w.Write([]byte("<html>"))
		case "/reset.mp4":
			panic(http.ErrAbortHandler)
		default:
			http.NotFound(w, r)
		}
	})).RoundTrip(r)
}

func connected(t *testing.T, n *internet) *client {
	return memory(t, simulator.Options{Client: &http.Client{Transport: n}})
}

func TestADownloadedClipIsBilledByItsOwnLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(internet)
		c := connected(t, n)
		for _, order := range []object{
			wan27(set("input.media", array{medium("reference_video", "https://a.test/clip"), medium("reference_image", "https://a.test/none.png")})),
			wan26(set("input.reference_urls", array{"https://a.test/dancer.mp4"})),
		} {
			id := c.task(order)
			time.Sleep(time.Hour)
			require.Contains(t, string(c.read("/api/v1/tasks/"+id).body), `"input_video_duration":2.5,`)
		}
		require.EqualValues(t, 2, n.visits.Load(), "pictures are not downloaded")
		id := c.task(wan27(set("input.media", array{medium("reference_video", "https://a.test/nobody-4s.mp4")})))
		time.Sleep(time.Hour)
		require.Contains(t, string(c.read("/api/v1/tasks/"+id).body), `"input_video_duration":4,`)
		require.EqualValues(t, 2, n.visits.Load(), "an address that tells the length is believed")
	})
}

func TestAClipThatCannotBeHadFailsTheTask(t *testing.T) {
	for address, want := range map[string][2]string{
		"https://a.test/gone.mp4":  {"InvalidParameter.DataInspection", "Unable to download the media resource during the data inspection process."},
		"https://a.test/reset.mp4": {"InvalidParameter.DataInspection", "Unable to download the media resource during the data inspection process."},
		"https://a.test/page.mp4":  {"InvalidFile.Openerror", "Invalid file, cannot open file as video/audio/image."},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := connected(t, new(internet))
			id := c.task(wan27(set("input.media", array{medium("reference_video", "https://a.test/clip"), medium("reference_video", address)})))
			require.Equal(t, "PENDING", c.status(id))
			time.Sleep(10 * time.Second)
			output := c.read("/api/v1/tasks/" + id).at("output").(object)
			require.Equal(t, "FAILED", output["task_status"])
			require.Equal(t, want, [2]string{output["code"].(string), output["message"].(string)})
		})
	}
}

// Nobody waits for another's download, and a download ends after ten seconds.
func TestADownloadHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connected(t, &internet{hold: time.Hour})
		made := make(chan string)
		began := time.Now()
		go func() { made <- c.task(wan27()) }()
		synctest.Wait()
		require.Equal(t, 200, c.create(wan27(set("input.media", array{medium("reference_image", "https://a.test/a.png")}))).status)
		require.Equal(t, "UNKNOWN", c.status("1111"))
		require.Zero(t, time.Since(began))
		id := <-made
		require.Equal(t, 10*time.Second, time.Since(began))
		time.Sleep(10 * time.Second)
		require.Equal(t, "FAILED", c.status(id))
	})
}

func TestWhoeverHangsUpDuringTheDownloadHasOrdered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &internet{hold: time.Second}
		sim := simulator.New(simulator.Options{Client: &http.Client{Transport: n}})
		c := &client{t, &http.Client{Transport: simulatortest.Transport(sim)}, "http://simulator.test"}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Millisecond, func() { cancel(errors.New("hung up")) })
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+createPath, bytes.NewReader(encode(t, wan27(set("input.media",
			array{medium("reference_video", "https://a.test/clip")})))))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer sk-test")
		for name, value := range createHeaders() {
			r.Header.Set(name, value)
		}
		if resp, err := c.http.Do(r); err == nil {
			resp.Body.Close()
		}
		time.Sleep(time.Hour)
		require.Len(t, c.observed(), 1)
		require.Equal(t, "SUCCEEDED", c.observed()[0].(object)["status"])
	})
}
