package page

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/video"
)

// TestInChromium looks at the page as people do. A message on the console fails each of its parts, and so does whatever the
// page's policy stops.
func TestInChromium(t *testing.T) {
	in := browser(t)
	for name, look := range map[string]func(tabs, *testing.T){
		"the console is heard":                theConsoleIsHeard,
		"picture":                             picture,
		"a clip plays":                        aClipPlays,
		"sign in and out":                     signInAndOut,
		"a form says its origin":              aFormSaysItsOrigin,
		"narrow, legible and labelled":        everyView,
		"keyboard":                            keyboard,
		"motion":                              motion,
		"a prompt does nothing":               aPromptDoesNothing,
		"another's clip":                      anothersClip,
		"open tasks are kept up to date":      openTasksAreKeptUpToDate,
		"newer tasks are told":                newerTasksAreTold,
		"an outage is told, and passes":       anOutagePasses,
		"who is signed out is told":           whoIsSignedOutIsTold,
		"without scripts":                     withoutScripts,
		"a link from elsewhere":               aLinkFromElsewhere,
		"a clip that is gone is said":         aClipThatIsGoneIsSaid,
		"a retried clip appears":              aRetriedClipAppears,
		"nothing is asked for while unlooked": nothingIsAskedForInTheBackground,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			look(in, t)
		})
	}
}

// refresh brings the page up to date now: it does so whenever somebody comes back to it.
func (b *tab) refresh() {
	b.Helper()
	eval[bool](b, `document.dispatchEvent(new Event("visibilitychange"))`)
}

func aClipPlays(in tabs, t *testing.T) {
	b := open(in, t, handler(t, options(twoPeople())))
	b.as(annasToken)
	b.until(`document.querySelector("video").readyState >= 1`)
	require.Equal(t, "metadata", eval[string](b, `document.querySelector("video").preload`))
	require.True(t, eval[bool](b, `document.querySelector("video").controls`))
	eval[bool](b, `document.querySelector("video").play().then(() => true)`)
	b.until(`document.querySelector("video").currentTime > 0.2`)
	require.Positive(t, eval[int](b, `document.querySelector("video").videoWidth`), "there is a picture")
}

// theConsoleIsHeard makes sure that what the policy stops would fail a test.
func theConsoleIsHeard(in tabs, t *testing.T) {
	b := open(in, t, handler(t, options(twoPeople())), "Content Security Policy")
	b.visit("/")
	eval[bool](b, `(() => { const s = document.createElement("script"); s.textContent = "window.hit = 1"; document.body.append(s); return true; })()`)
	require.Contains(t, strings.Join(b.heard(), "\n"), "Content Security Policy")
	require.True(t, eval[bool](b, `window.hit === undefined`))
}

func signInAndOut(in tabs, t *testing.T) {
	b := open(in, t, handler(t, options(twoPeople())), "status of 401")
	b.signIn("r2v_not-the-token")
	require.Contains(t, eval[string](b, `document.querySelector("[role=alert]").textContent`), "not known here")
	require.NotContains(t, eval[string](b, `document.documentElement.outerHTML`), "r2v_not-the-token")
	require.Empty(t, eval[string](b, `document.querySelector("#token").value`))

	b.signIn(annasToken)
	require.Equal(t, "/", eval[string](b, `location.pathname`))
	require.Contains(t, eval[string](b, `document.querySelector(".who").textContent`), "anna")
	require.Empty(t, eval[string](b, `document.cookie`), "scripts cannot read the token")

	b.do(chromedp.Click(chromedp.CSS("form.who button")))
	b.until(`document.querySelector("#token")`)
	b.visit("/")
	require.True(t, eval[bool](b, `document.querySelector("#token") !== null`), "the cookie is gone")
}

func aFormSaysItsOrigin(in tabs, t *testing.T) {
	var mu sync.Mutex
	var origins []string
	h := handler(t, options(twoPeople()))
	b := open(in, t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			mu.Lock()
			origins = append(origins, r.Header.Get("Origin"))
			mu.Unlock()
		}
		h.ServeHTTP(w, r)
	}))
	b.signIn(annasToken)
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, []string{b.url}, origins, "under no-referrer it would be null")
}

// crowded is a page with everything on it, and words that do not break.
func crowded() *books {
	books := example()
	books.change("anna", "r2v_q5n3c7vhx2b6wd4mtzka", func(t *video.Task) {
		t.Request.Prompt = strings.Repeat("Donaudampfschifffahrt", 12)
		t.Trouble = &video.Failure{Message: strings.Repeat("unbroken", 40)}
	})
	unsaved := made("r2v_unsaved"+strings.Repeat("x", 80), "")
	unsaved.SaveError = "there is no room: " + strings.Repeat("/long/path", 20)
	unsaved.EndedAt = noon.Add(-time.Minute)
	books.add("anna", unsaved)
	doubt := running("r2v_doubt", time.Minute)
	doubt.Status, doubt.ProviderTaskID = video.Unknown, ""
	books.add("anna", doubt)
	for range onePage {
		old := made("r2v_more", "")
		old.EndedAt = noon.Add(-25 * time.Hour)
		books.tasks["anna"] = append(books.tasks["anna"], owned("anna", old)...)
	}
	return books
}

// everyView looks at each kind of page on a phone, in the light and in the dark.
func everyView(in tabs, t *testing.T) {
	b := open(in, t, handler(t, options(crowded())), "status of 400")
	b.size(320, 640)
	look := func(name string) {
		t.Helper()
		b.fits(name)
		for _, scheme := range []string{"light", "dark"} {
			b.prefers("prefers-color-scheme", scheme)
			require.Equal(t, scheme == "dark", eval[bool](b, `matchMedia("(prefers-color-scheme: dark)").matches`))
			require.Empty(t, eval[string](b, faint), "%s, %s", name, scheme)
		}
	}
	b.visit("/")
	look("sign-in")
	b.asksForAToken()
	b.as(annasToken)
	look("tasks")
	b.isLabelled()
	b.visit("/?cursor=none")
	look("notice")
}

// fits makes sure that nothing is wider than the window of 320 pixels. Source: WCAG 2.2, 1.4.10.
func (b *tab) fits(name string) {
	b.Helper()
	require.LessOrEqual(b, eval[int](b, `document.documentElement.scrollWidth`), 320, name)
	require.Empty(b, eval[string](b, `[...document.querySelectorAll("body *:not(.unseen)")].filter((e) => e.getBoundingClientRect().right > 320.5).map((e) => e.outerHTML).join()`), name)
}

// faint lists the texts whose contrast is below 4.5 to 1, which WCAG 2.2 asks for at level AA (1.4.3).
const faint = `(() => {
	const parts = (c) => c.match(/[\d.]+/g).map(Number);
	const light = (c) => { const [r, g, b] = parts(c).map((v) => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
	const ground = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if ((parts(c)[3] ?? 1) === 1) return c; } return "rgb(255,255,255)"; };
	let found = "", seen = 0;
	for (const e of document.querySelectorAll("body *")) {
		if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) || e.matches("noscript, script, meter, progress") || !e.checkVisibility()) continue;
		seen++;
		const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
		const ratio = (a + .05) / (b + .05);
		if (ratio < 4.5) found += ratio.toFixed(2) + " " + e.outerHTML.slice(0, 120) + "\n";
	}
	return seen < 3 ? "nothing was looked at" : found;
})()`

func (b *tab) asksForAToken() {
	b.Helper()
	require.Equal(b, "Token", eval[string](b, `document.querySelector("#token").labels[0].textContent`))
	require.Equal(b, "current-password", eval[string](b, `document.querySelector("#token").autocomplete`))
	require.Equal(b, 1, eval[int](b, `document.querySelectorAll("input[type=password]").length`))
}

func (b *tab) isLabelled() {
	b.Helper()
	for _, one := range []string{"main", "h1", "header", "nav[aria-label]", "[role=status]", "html[lang=en]"} {
		require.Equal(b, 1, eval[int](b, `document.querySelectorAll("`+one+`").length`), one)
	}
	named := `[...document.querySelectorAll("video, meter, progress, article, section")].filter((e) => !(e.getAttribute("aria-label") || document.getElementById(e.getAttribute("aria-labelledby"))?.textContent)).length`
	require.Zero(b, eval[int](b, named), "whatever is no text has a name")
	require.Positive(b, eval[int](b, `document.querySelectorAll("meter").length`))
	require.Positive(b, eval[int](b, `document.querySelectorAll("progress").length`))
}

func keyboard(in tabs, t *testing.T) {
	b := open(in, t, handler(t, options(crowded())))
	b.visit("/")
	b.until(`document.activeElement.id === "token"`) // a browser sets the first focus when it first draws
	b.do(chromedp.KeyEvent(annasToken + "\r"))
	b.until(`document.getElementById("list")`)
	reached := map[string]bool{}
	for range 12 {
		b.do(chromedp.KeyEvent("\t"))
		at := eval[[]string](b, `(() => { const e = document.activeElement, s = getComputedStyle(e); return [e.tagName, e.tagName === "VIDEO" ? "solid" : s.outlineStyle]; })()`)
		reached[at[0]] = true
		if at[0] != "BODY" {
			require.Equal(t, "solid", at[1], "one sees where one is: %s", at[0])
		}
	}
	require.True(t, reached["BUTTON"] && reached["VIDEO"], "%v", reached)
	b.do(chromedp.Focus(chromedp.CSS("nav a[rel=next]")), chromedp.KeyEvent("\r"))
	b.until(`location.search === "?cursor=20" && document.querySelector("nav a[rel=first]")`)
}

func motion(in tabs, t *testing.T) {
	b := open(in, t, handler(t, exampleOptions()))
	b.as(annasToken)
	moving := `getComputedStyle(document.querySelector("progress:indeterminate")).animationName`
	require.Equal(t, "along", eval[string](b, moving))
	b.prefers("prefers-reduced-motion", "reduce")
	require.Equal(t, "none", eval[string](b, moving))
}

func aPromptDoesNothing(in tabs, t *testing.T) {
	books := twoPeople()
	const prompt = `"><script>window.hit = 1</script><img src=x onerror="window.hit = 1">' onfocus='window.hit=1`
	books.change("anna", "r2v_a", func(t *video.Task) { t.Request.Prompt = prompt })
	task := running("r2v_open", time.Minute)
	task.Request.Prompt = prompt
	books.add("anna", task)
	b := open(in, t, handler(t, options(books)))
	b.as(annasToken)
	books.change("anna", "r2v_open", func(t *video.Task) {
		t.Status, t.EndedAt = video.Failed, noon
		t.Failure = &video.Failure{Code: prompt, Message: prompt}
	})
	b.refresh()
	b.until(`document.querySelector("#task-r2v_open .failure")`)
	require.Equal(t, prompt, eval[string](b, `document.querySelector("#task-r2v_a h3").textContent`))
	require.Contains(t, eval[string](b, `document.querySelector(".failure p").textContent`), ": "+prompt)
	require.True(t, eval[bool](b, `window.hit === undefined && document.images.length === 0`))
}

func anothersClip(in tabs, t *testing.T) {
	b := open(in, t, handler(t, options(twoPeople())), "status of 404")
	b.as(annasToken)
	status := func(id string) int {
		return eval[int](b, `fetch("/clips/`+id+`.mp4").then((r) => r.status)`)
	}
	require.Equal(t, 200, status("r2v_a"))
	require.Equal(t, 404, status("r2v_b"))
	require.Equal(t, 404, status("r2v_never"))
}

// openTasksAreKeptUpToDate has a clip play while another task ends.
func openTasksAreKeptUpToDate(in tabs, t *testing.T) {
	books := &books{tasks: map[string][]video.Task{"anna": owned("anna", running("r2v_open", time.Minute), made("r2v_a", "testdata/clip.mp4"))},
		budget: &video.Budget{PerDay: money("20"), Used: money("1"), Left: money("19"), Currency: "USD", ResetsAt: noon}}
	b := open(in, t, handler(t, options(books)))
	b.as(annasToken)
	eval[bool](b, `(() => { window.mark = document.querySelector("video"); window.paused = 0; mark.onpause = mark.onemptied = () => window.paused++; mark.loop = true; return mark.play().then(() => true); })()`)
	b.until(`mark.currentTime > 0.1`)
	require.Equal(t, "RUNNING", eval[string](b, `document.querySelector("#task-r2v_open").dataset.status`))

	books.change("anna", "r2v_open", func(task *video.Task) {
		task.Status, task.EndedAt, task.SavedTo, task.Billed = video.Succeeded, noon, goodClip, bill("0.6")
	})
	books.mu.Lock()
	books.budget = &video.Budget{PerDay: money("20"), Used: money("1.6"), Left: money("18.4"), Currency: "USD", ResetsAt: noon}
	books.mu.Unlock()
	b.refresh()
	b.until(`document.querySelector("#task-r2v_open").dataset.status === "SUCCEEDED"`)
	require.Contains(t, plain(eval[string](b, `document.querySelector("#task-r2v_open").textContent`)), "0.60 USD")
	require.Contains(t, plain(eval[string](b, `document.getElementById("day").textContent`)), "1.60 of 20.00 USD")
	require.Contains(t, eval[string](b, `document.getElementById("said").textContent`), "SUCCEEDED", "it is read out")
	b.until(`document.querySelector("#task-r2v_open video").readyState >= 1`)

	require.True(t, eval[bool](b, `document.querySelector("#task-r2v_a video") === mark && !mark.paused && window.paused === 0`), "the clip that played plays on, and the page was not loaded again")
	at := eval[float64](b, `mark.currentTime`)
	require.True(t, eval[bool](b, `new Promise((resolve) => { mark.ontimeupdate = () => resolve(true); })`))
	require.NotEqual(t, at, eval[float64](b, `mark.currentTime`), "it goes on")
}

func newerTasksAreTold(in tabs, t *testing.T) {
	books := twoPeople()
	b := open(in, t, handler(t, options(books)))
	b.as(annasToken)
	hidden := `document.getElementById("newer").hidden`
	require.True(t, eval[bool](b, hidden))
	books.add("anna", running("r2v_new", 0))
	b.refresh()
	b.until("!" + hidden)
	b.do(chromedp.Click(chromedp.CSS("#newer a")))
	b.until(`document.getElementById("task-r2v_new")`)
}

func anOutagePasses(in tabs, t *testing.T) {
	books := twoPeople()
	books.add("anna", running("r2v_open", time.Minute))
	b := open(in, t, handler(t, options(books)), "status of 503")
	b.as(annasToken)
	setBroken(books, errors.New("the database is away"))
	b.refresh()
	said := `document.getElementById("said").textContent`
	b.until(said + `.includes("does not answer")`)
	require.Equal(t, 2, eval[int](b, `document.querySelectorAll(".task").length`), "what was seen stays")
	setBroken(books, nil)
	b.refresh()
	b.until(said + ` === ""`)
}

func setBroken(b *books, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken = err
}

func whoIsSignedOutIsTold(in tabs, t *testing.T) {
	books := twoPeople()
	books.add("anna", running("r2v_open", time.Minute))
	b := open(in, t, handler(t, options(books)))
	b.as(annasToken)
	eval[bool](b, `fetch("/sign-out", { method: "POST" }).then(() => true)`) // as from another tab
	b.refresh()
	b.until(`document.getElementById("said").textContent.includes("signed out")`)
}

func withoutScripts(in tabs, t *testing.T) {
	books := twoPeople()
	b := open(in, t, handler(t, options(books)))
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	b.as(annasToken)
	refreshes := `document.querySelectorAll("noscript meta[http-equiv=refresh][content='15']").length`
	require.Zero(t, eval[int](b, refreshes), "nothing is open")
	require.Equal(t, "9 Mar 2026, 11:00 UTC", eval[string](b, `document.querySelector("time[datetime='2026-03-09T11:00:00Z']").textContent`))
	books.add("anna", running("r2v_open", time.Minute))
	b.visit("/")
	require.Equal(t, 1, eval[int](b, refreshes))
	b.do(chromedp.Click(chromedp.CSS("form.who button")))
	b.until(`document.querySelector("#token")`)
}

func nothingIsAskedForInTheBackground(in tabs, t *testing.T) {
	books := twoPeople()
	books.add("anna", running("r2v_open", time.Minute))
	b := open(in, t, handler(t, options(books)))
	b.as(annasToken)
	asked := func() int {
		books.mu.Lock()
		defer books.mu.Unlock()
		return len(books.asked)
	}
	before := asked()
	eval[bool](b, `(() => { Object.defineProperty(document, "hidden", { value: true, configurable: true }); return true; })()`)
	b.refresh()
	eval[int](b, `fetch("/page.css").then((r) => r.status)`)
	require.Equal(t, before, asked())
	eval[bool](b, `delete document.hidden`)
	b.refresh()
	require.Eventually(t, func() bool { return asked() == before+1 }, 5*time.Second, 5*time.Millisecond)
}
