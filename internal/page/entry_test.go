package page

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/video"
)

func entryOf(task video.Task, s span) entry {
	return newEntry(&task, noon, "USD", func(string) span { return s })
}

func with(task video.Task, change func(*video.Task)) video.Task {
	change(&task)
	return task
}

func plain(text string) string { return strings.ReplaceAll(text, "\u00a0", " ") }

func TestProgressIsAnEstimateAndSaysSo(t *testing.T) {
	usual := span{time.Minute, 2 * time.Minute}
	pending := func(task *video.Task) { task.Status = video.Pending }
	for name, c := range map[string]struct {
		task    video.Task
		usual   span
		percent int
		says    string
	}{
		"pending":               {with(running("r2v_x", 75*time.Second), pending), usual, 0, "Waiting for its turn at the service, for 1 min 15 s."},
		"being ordered":         {with(running("r2v_x", time.Second), func(t *video.Task) { pending(t); t.ProviderTaskID = "" }), usual, 0, "It is being ordered."},
		"just begun":            {running("r2v_x", 0), usual, 1, "About 1 %. This is an estimate: clips of this model usually take 1 min to 2 min."},
		"half of it":            {running("r2v_x", time.Minute), usual, 50, "About 50 %"},
		"told by the service":   {with(running("r2v_x", time.Minute), func(t *video.Task) { t.Progress = 42 }), usual, 42, "42 %, says the service. In the making for 1 min."},
		"told at the end":       {with(running("r2v_x", time.Minute), func(t *video.Task) { t.Progress = 100 }), span{}, 99, "99 %, says the service."},
		"told before it runs":   {with(running("r2v_x", time.Second), func(t *video.Task) { pending(t); t.Progress = 3 }), usual, 3, "3 %, says the service."},
		"nearly":                {running("r2v_x", 119*time.Second), usual, 95, "About 95 %"},
		"longer than usual":     {running("r2v_x", time.Hour+5*time.Minute), usual, 95, "for 1 h 5 min, longer than usual"},
		"nobody knows":          {running("r2v_x", 30*time.Second), span{}, 0, "In the making for 30 s."},
		"a clock that is ahead": {running("r2v_x", -time.Minute), usual, 1, "About 1 %"},
		"in doubt":              {with(running("r2v_x", time.Minute), func(t *video.Task) { t.Status, t.ProviderTaskID = video.Unknown, "" }), usual, 0, "being looked for"},
		"being saved":           {with(made("r2v_x", ""), func(t *video.Task) { t.EndedAt = noon.Add(-time.Minute) }), usual, 0, "being saved"},
	} {
		t.Run(name, func(t *testing.T) {
			e := entryOf(c.task, c.usual)
			require.True(t, e.Live)
			require.Equal(t, c.percent, e.Progress.Percent)
			require.Contains(t, plain(e.Progress.Words), c.says)
			require.Empty(t, e.Stage)
		})
	}
}

func TestWhatHasEndedIsNotWaitedFor(t *testing.T) {
	ended := func(s video.Status) video.Task {
		return with(running("r2v_x", time.Hour), func(t *video.Task) { t.Status, t.EndedAt = s, noon.Add(-30*time.Minute) })
	}
	for name, c := range map[string]struct {
		task video.Task
		says string
		link bool
	}{
		"failed":             {ended(video.Failed), "No clip was made.", false},
		"cancelled":          {ended(video.Canceled), "Cancelled before it began.", false},
		"forgotten":          {ended(video.Unknown), "does not know it any more", false},
		"never saved":        {with(made("r2v_x", ""), func(t *video.Task) { t.SaveError = "the disk is full" }), "made, and not saved here", true},
		"nobody saves":       {made("r2v_x", ""), "made, and not saved here", true},
		"link dead":          {with(made("r2v_x", ""), func(t *video.Task) { t.SaveError = "gone"; t.EndedAt = noon.Add(-25 * time.Hour) }), "its link has ended", false},
		"doubt of yesterday": {with(running("r2v_x", 25*time.Hour), func(t *video.Task) { t.Status, t.ProviderTaskID = video.Unknown, "" }), "does not know", false},
	} {
		t.Run(name, func(t *testing.T) {
			e := entryOf(c.task, span{})
			require.False(t, e.Live)
			require.Nil(t, e.Progress)
			require.Contains(t, e.Stage, c.says)
			require.Equal(t, c.link, e.Link != "")
		})
	}
	e := entryOf(made("r2v_x", goodClip), span{})
	require.True(t, e.Clip)
	require.Empty(t, e.Stage+e.Link)
}

// TestAClipThatCouldNotBeSaved says why, what happens next, and how long there is time.
func TestAClipThatCouldNotBeSaved(t *testing.T) {
	const link, again, dead = "Download the clip from the service</a> <span class=\"soft\">until <time datetime=\"2026-03-10T11:02:00Z\"", "Saving is tried again by itself", "link to it ended on"
	full := func(t *video.Task) { t.SaveError = "the disk is full" }
	for name, c := range map[string]struct {
		task    video.Task
		says    []string
		not     []string
		retried bool
	}{
		"its link lives": {with(made("r2v_x", ""), full), []string{"could not be saved:", "the disk is full", again, link}, []string{dead}, true},
		"a link of http": {with(made("r2v_x", ""), func(t *video.Task) { full(t); t.VideoURL = "http://clips.example/a" }), []string{again, "The service keeps the clip until <time datetime=\"2026-03-10T11:02:00Z\""}, []string{"<a ", dead}, true},
		"its link is dead": {with(made("r2v_x", ""), func(t *video.Task) { full(t); t.EndedAt = noon.Add(-24 * time.Hour) }),
			[]string{"the disk is full", dead + " <time datetime=\"2026-03-09T12:00:00Z\"", "cannot be saved any more", "its link has ended"}, []string{again, "<a "}, false},
		"saved, and odd": {with(made("r2v_x", goodClip), func(t *video.Task) { t.SaveError = "the clip is 4 s long, and 5 s are billed" }),
			[]string{"The clip is saved, but look at it:", "5 s are billed"}, []string{"could not be saved", again}, false},
		"never a link": {with(made("r2v_x", ""), func(t *video.Task) {
			t.VideoURL, t.SubmittedAt, t.CreatedAt = "", noon.Add(-25*time.Hour), noon.Add(-25*time.Hour)
		}), []string{"told no link"}, []string{"ended", "<a "}, false},
	} {
		t.Run(name, func(t *testing.T) {
			e := entryOf(c.task, span{})
			require.Equal(t, c.retried, e.Retried)
			var made strings.Builder
			require.NoError(t, taskItem(e).Render(&made))
			for _, says := range c.says {
				require.Contains(t, made.String(), says)
			}
			for _, not := range c.not {
				require.NotContains(t, strings.ReplaceAll(made.String(), "<article", ""), not)
			}
			require.Equal(t, c.retried, strings.Contains(made.String(), "data-retried"))
		})
	}
}

// credits are what a task without a rate holds and was billed, each empty for nothing.
func credits(held, billed string) func(*video.Task) {
	return func(t *video.Task) {
		t.Estimate, t.Billed, t.Currency = nil, nil, "credits"
		if held != "" {
			t.Hold = bill(held)
		}
		if billed != "" {
			t.Billed = bill(billed)
		}
	}
}

func TestMoneyIsExactAndSaysWhatWasCharged(t *testing.T) {
	for name, c := range map[string]struct {
		task                     video.Task
		estimated, billed, money string
	}{
		"billed":                 {with(made("r2v_x", goodClip), func(t *video.Task) { t.Estimate, t.Billed = cost("0.5", "1.125"), bill("0.7") }), "0.50–1.125 USD", "0.70 USD", ""},
		"open":                   {running("r2v_x", 0), "0.50–0.75 USD", "", "Nothing yet"},
		"failed":                 {with(running("r2v_x", 0), func(t *video.Task) { t.Status = video.Failed }), "0.50–0.75 USD", "", "Nothing"},
		"bill to come":           {with(made("r2v_x", goodClip), func(t *video.Task) { t.Billed = nil }), "0.50 USD", "", "Charged; the bill is not known yet"},
		"in doubt":               {with(running("r2v_x", 0), func(t *video.Task) { t.Status, t.ProviderTaskID = video.Unknown, "" }), "0.50–0.75 USD", "", "Not known yet"},
		"made elsewhere":         {with(made("r2v_x", goodClip), func(t *video.Task) { t.Estimate, t.Billed = nil, bill("0.123456") }), "", "0.123456 USD", ""},
		"without a rate":         {with(running("r2v_x", 0), credits("34.5", "")), "", "", "Nothing yet; 34.5 credits held by the service"},
		"without a rate or hold": {with(running("r2v_x", 0), credits("", "")), "", "", "Nothing yet"},
		"billed in credits":      {with(made("r2v_x", goodClip), credits("34.5", "3.4")), "", "3.4 credits", ""},
		"held, and no bill yet":  {with(made("r2v_x", goodClip), credits("34.5", "")), "", "", "Charged; the bill is not known yet, and 34.5 credits held by the service"},
		"a hold that is free":    {with(running("r2v_x", 0), func(t *video.Task) { credits("34.5", "")(t); t.Status = video.Failed }), "", "", "Nothing"},
		"estimated in credits": {with(running("r2v_x", 0), func(t *video.Task) {
			t.Estimate = &video.Cost{Low: money("17"), High: money("34.5"), Currency: "credits"}
		}), "17–34.5 credits", "", "Nothing yet"},
	} {
		t.Run(name, func(t *testing.T) {
			e := entryOf(c.task, span{})
			require.Equal(t, []string{c.estimated, c.billed, c.money}, []string{plain(e.Estimated), plain(e.Billed), plain(e.Money)})
		})
	}
}

func TestFactsOfATaskThatWasMadeElsewhere(t *testing.T) {
	e := entryOf(video.Task{ID: "r2v_x", CreatedAt: noon, Snapshot: video.Snapshot{Status: video.Running, Prompt: "As the service tells it"}, ProviderTaskID: "p"}, span{})
	require.Empty(t, e.Facts)
	require.Equal(t, "As the service tells it", e.Prompt)
	require.Equal(t, "A clip without a known prompt", entryOf(video.Task{ID: "r2v_x", CreatedAt: noon}, span{}).Prompt)
}

func TestShapeOfAClip(t *testing.T) {
	for asked, want := range map[string][2]int{"9:16": {9, 16}, "1280*720": {1280, 720}, "": {16, 9}, "0:1": {16, 9}, "x": {16, 9}, "99999:1": {16, 9}, "1:1": {1, 1}} {
		w, h := shape(&video.Task{Request: video.Request{Ratio: asked}})
		require.Equal(t, want, [2]int{w, h}, asked)
	}
}

func TestDayAgainstItsBudget(t *testing.T) {
	d := newDay(&video.Budget{PerDay: money("20"), Used: money("25.5"), Left: money("-5.5"), Currency: "USD", ResetsAt: noon})
	require.Equal(t, "0.00 USD", plain(d.Left))
	require.Equal(t, []string{"25.50", "25.5", "16", "20", "128 %"}, []string{d.Used, d.Value, d.High, d.Max, plain(d.Percent)})
	require.Empty(t, newDay(&video.Budget{Currency: "USD"}).Max, "nothing may be spent: there is no meter of nothing")
	require.Nil(t, newDay(nil))
}
