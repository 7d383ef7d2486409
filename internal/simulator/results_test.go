package simulator_test

import (
	"bytes"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/abema/go-mp4"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

type film struct {
	width, height int
	length        time.Duration
}

func probed(t *testing.T, content []byte) film {
	t.Helper()
	info, err := mp4.Probe(bytes.NewReader(content))
	require.NoError(t, err)
	require.Len(t, info.Tracks, 1)
	avc := info.Tracks[0].AVC
	require.NotNil(t, avc)
	return film{int(avc.Width), int(avc.Height), time.Duration(info.Duration) * time.Second / time.Duration(info.Timescale)}
}

// fast is quick enough for a test on a real clock: three minutes are 2 ms.
const fast = 100_000

// finished makes a task and returns its answer once it has succeeded.
func (c *client) finished(order object) reply {
	c.t.Helper()
	path := "/api/v1/tasks/" + c.task(order)
	var answer reply
	require.Eventually(c.t, func() bool {
		answer = c.read(path)
		return answer.at("output", "task_status") == "SUCCEEDED"
	}, 5*time.Second, time.Millisecond)
	return answer
}

func TestTheClipIsWhatWasOrdered(t *testing.T) {
	for name, at := range map[string]struct {
		order object
		film
	}{
		"2.6 by default":          {wan26(set("parameters", nil)), film{1920, 1080, 5 * time.Second}},
		"2.6 3:4, 2 s":            {wan26(set("parameters.size", "832*1088"), set("parameters.duration", 2)), film{832, 1088, 2 * time.Second}},
		"2.7 by default":          {wan27(set("parameters", nil)), film{1920, 1080, 5 * time.Second}},
		"2.7 720P 4:3":            {wan27(set("parameters.ratio", "4:3")), film{1104, 832, 5 * time.Second}},
		"2.7 1080P 3:4":           {wan27(set("parameters.ratio", "3:4"), set("parameters.resolution", "1080P")), film{1248, 1648, 5 * time.Second}},
		"2.7 with a frame, 15 s ": {wan27(set("input.media", media(1, 0, 1)), set("parameters.duration", 15)), film{1280, 720, 15 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			c := sockets(t, simulator.Options{Speed: fast, Unthrottled: true})
			link := c.finished(at.order).at("output", "video_url").(string)
			require.True(t, strings.HasPrefix(link, c.base+"/results/"), link)
			answer := c.send(http.MethodGet, link, nil, headers{"Authorization": ""})
			require.Equal(t, 200, answer.status)
			require.Equal(t, "video/mp4", answer.header.Get("Content-Type"))
			require.Equal(t, at.film, probed(t, answer.body))

			head := c.send(http.MethodHead, link, nil, nil)
			require.Equal(t, answer.header.Get("Content-Length"), head.header.Get("Content-Length"))
			part := c.send(http.MethodGet, link, nil, headers{"Range": "bytes=100-199"})
			require.Equal(t, http.StatusPartialContent, part.status)
			require.Equal(t, answer.body[100:200], part.body)
		})
	}
}

func TestALinkIsSignedAndDiesADayAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory(t, simulator.Options{})
		id := c.task(wan26())
		require.Equal(t, 403, c.read("/results/"+id+".mp4").status)
		time.Sleep(93 * time.Second)
		link := c.read("/api/v1/tasks/"+id).at("output", "video_url").(string)
		u, err := url.Parse(link)
		require.NoError(t, err)
		for _, wrong := range []url.Values{
			{"Expires": u.Query()["Expires"]},
			{"Expires": {"99999999999"}, "Signature": u.Query()["Signature"]},
			{"Expires": u.Query()["Expires"], "Signature": {"AAAA"}},
		} {
			answer := c.read(u.Path + "?" + wrong.Encode())
			require.Equal(t, 403, answer.status)
			require.Contains(t, string(answer.body), "<Code>SignatureDoesNotMatch</Code>")
		}
		other := strings.Replace(link, id, c.task(wan26()), 1)
		require.Equal(t, 403, c.read(other).status)

		time.Sleep(24*time.Hour - time.Second)
		require.Equal(t, 200, c.read(link).status)
		time.Sleep(time.Second)
		answer := c.read(link)
		require.Equal(t, 403, answer.status)
		require.Contains(t, string(answer.body), "<Code>AccessDenied</Code>")
		require.Contains(t, string(answer.body), "<Message>Request has expired.</Message>")
	})
}

func TestALinkGoesWhereTheAskerCameFrom(t *testing.T) {
	server := httptest.NewTLSServer(simulator.New(simulator.Options{Speed: fast}))
	t.Cleanup(server.Close)
	c := &client{t, server.Client(), server.URL}
	answer := c.finished(wan26())
	link := answer.at("output", "video_url").(string)
	require.Contains(t, string(answer.body), link, "unescaped, as the service writes it")
	require.True(t, strings.HasPrefix(link, "https://127.0.0.1"), link)
	require.Regexp(t, `^[^?]+\?Expires=\d+&Signature=[\w-]+$`, link)
	require.Equal(t, 200, c.read(link).status)
}

func TestALinkOfAnotherServerIsRefused(t *testing.T) {
	one, other := memory(t, simulator.Options{Speed: fast}), memory(t, simulator.Options{Speed: fast})
	require.Equal(t, 403, other.read(one.finished(wan26()).at("output", "video_url").(string)).status)
}

func TestSamplesAreRealMedia(t *testing.T) {
	c := sockets(t, simulator.Options{})
	video := c.read("/samples/dancer-8s.mp4")
	require.Equal(t, "video/mp4", video.header.Get("Content-Type"))
	require.Equal(t, film{640, 360, 8 * time.Second}, probed(t, video.body))
	require.Equal(t, film{640, 360, 2500 * time.Millisecond}, probed(t, c.read("/samples/x-2.5s.mp4").body))

	picture := c.read("/samples/hat.png")
	require.Equal(t, "image/png", picture.header.Get("Content-Type"))
	size, err := png.DecodeConfig(bytes.NewReader(picture.body))
	require.NoError(t, err)
	require.Equal(t, []int{640, 640}, []int{size.Width, size.Height})
	require.NotEqual(t, picture.body, c.read("/samples/boots.png").body)

	voice := c.read("/samples/voice-4s.wav")
	require.Equal(t, "audio/wav", voice.header.Get("Content-Type"))
	require.Len(t, voice.body, 44+4*8000*2)
	require.Equal(t, "RIFF", string(voice.body[:4]))
	require.Equal(t, "WAVEfmt ", string(voice.body[8:16]))

	for _, name := range []string{"dancer.mp4", "x-31s.mp4", "x-0.5s.mp4", "voice.wav", "x-8s.avi", "x"} {
		c.read("/samples/"+name).refused(404, "NotFound", "Request path not found.")
	}
}
