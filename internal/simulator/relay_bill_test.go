package simulator_test

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

// exact is a number as it is written.
func exact(t *testing.T, body []byte, path ...string) string {
	t.Helper()
	var v json.RawMessage = body
	for _, key := range path {
		var fields map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(v, &fields))
		v = fields[key]
	}
	return string(v)
}

func TestTheRelaysHoldAndBill(t *testing.T) {
	clips := func(names ...string) change {
		list := array{}
		for _, name := range names {
			list = append(list, "https://media.test/"+name+".mp4")
		}
		return set("video_urls", list)
	}
	for name, at := range map[string]struct {
		order          object
		reserved, used string
	}{
		"flash, a long clip":               {flash(clips("a-10s")), "17", "34"},
		"flash, a short clip":              {flash(clips("a-2.5s")), "17", "25.5"},
		"flash at 1080p":                   {flash(clips("a-10s"), set("quality", "1080p")), "25.5", "51"},
		"flash, silent":                    {flash(clips("a-10s"), set("generate_audio", false)), "8.5", "17"},
		"flash, silent at 1080p":           {flash(clips("a-10s"), set("generate_audio", false), set("quality", "1080p"), set("duration", 3)), "7.65", "20.4"},
		"two clips divide five seconds":    {relay26(clips("a-10s", "b-2s")), "34", "64.6"},
		"three clips are cut to 1.65 s":    {relay26(clips("a-10s", "b-2s", "c-3s")), "34", "67.66"},
		"three clips, flash, silent, 1080": {flash(clips("a-3s", "b-2s", "c-3s"), set("generate_audio", false), set("quality", "1080p"), set("duration", 2)), "5.1", "17.7225"},
		"wan2.7 bills whole lengths":       {relay27(clips("a-30s", "b-8.125s"), set("duration", 10)), "68", "327.25"},
		"wan2.7, images are free":          {relay27(set("video_urls", nil), set("image_urls", times(5, aPicture)), set("image_start", aPicture), set("quality", "1080p")), "51", "51"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := relay(t, simulator.Options{})
				created := c.order(at.order)
				require.Equal(t, at.reserved, exact(t, created.body, "usage", "credits_reserved"), "%s", created.body)
				id := created.at("id").(string)
				require.NotContains(t, c.look(id).json(), "usage")
				require.Equal(t, 0., c.read("/v1/tasks").at("data").(array)[0].(object)["credits_used"])
				require.Equal(t, at.reserved, exact(t, c.read("/v1/credits").body, "data", "user", "used_credits"), "what is held")
				time.Sleep(10 * time.Minute)
				require.Equal(t, at.used, exact(t, c.look(id).body, "usage", "credits_used"))
				require.Contains(t, string(c.read("/v1/tasks").body), `"credits_used":`+at.used+`}`)
				require.Contains(t, string(c.post("/v1/tasks/batch", object{"task_ids": array{id}}).body), `"credits_used":`+at.used+`}`)
				require.Contains(t, string(c.read("/control/tasks").body), `"usage":{"credits_used":`+at.used+`}`)
				require.Equal(t, at.used, exact(t, c.read("/v1/credits").body, "data", "user", "used_credits"))
			})
		})
	}
}

func TestWhatFailsOrIsCancelledCostsNothingAtTheRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := relay(t, simulator.Options{})
		for _, fault := range []string{"fail-internal", "cancelled", "request-cancelled"} {
			c.ordered(flash(set("prompt", "[[fault:"+fault+"]]")))
		}
		require.Equal(t, "51", exact(t, c.read("/v1/credits").body, "data", "user", "used_credits"))
		time.Sleep(10 * time.Minute)
		require.Equal(t, "0", exact(t, c.read("/v1/credits").body, "data", "user", "used_credits"))
		require.Equal(t, "1000000", exact(t, c.read("/v1/credits").body, "data", "user", "remaining_credits"))
		for _, row := range c.read("/v1/tasks").at("data").(array) {
			require.Equal(t, 0., row.(object)["credits_used"])
		}
		for _, seen := range c.observed() {
			require.Nil(t, seen.(object)["usage"])
		}
	})
}
