package page

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

const chromium = "/usr/bin/chromium"

// tabs are those of one browser that no test is looking at. A test has a tab to itself, with cookies of its own, and hands it on:
// a new one takes longer than most tests.
type tabs chan *viewer

// viewer is a tab of the browser.
type viewer struct {
	ctx  context.Context
	mu   sync.Mutex
	said []string // what the console said since it was last heard
}

// browser starts Chromium for a test, which is skipped where there is none, unless CI says that everything is there.
func browser(t *testing.T) tabs {
	t.Helper()
	if _, err := os.Stat(chromium); errors.Is(err, os.ErrNotExist) && os.Getenv("CI") == "" {
		t.Skip("there is no " + chromium)
	}
	flags := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"), chromedp.Flag("lang", "en-GB"), chromedp.Env("TZ=UTC"))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), flags...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	require.NoError(t, chromedp.Do(ctx), "Chromium starts")
	const atOnce = 2
	free := make(tabs, atOnce)
	for range atOnce {
		free <- newViewer(ctx, t)
	}
	return free
}

func newViewer(in context.Context, t *testing.T) *viewer {
	t.Helper()
	ctx, stop := chromedp.NewContext(in, chromedp.WithNewBrowserContext())
	t.Cleanup(stop)
	require.NoError(t, chromedp.Do(ctx))
	v := &viewer{ctx: ctx}
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			v.mu.Lock()
			v.said = append(v.said, m.String())
			v.mu.Unlock()
		}
	}()
	return v
}

// tab is a tab in front of a test's page.
type tab struct {
	*testing.T
	*viewer
	url string
}

// open puts a tab in front of a page. What the console says against it fails the test at its end, refusals of the network that a
// test has asked for excepted.
func open(in tabs, t *testing.T, h http.Handler, allowed ...string) *tab {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	b := &tab{T: t, viewer: <-in, url: server.URL}
	t.Cleanup(func() { in <- b.viewer })
	b.forget()
	t.Cleanup(func() {
		heard := b.heard()
		b.do(chromedp.Navigate("about:blank")) // nothing is asked for when the server is gone
		for _, message := range heard {
			known := false
			for _, text := range allowed {
				known = known || strings.Contains(message, text)
			}
			require.True(t, known, "the console says: %s", message)
		}
	})
	return b
}

// forget makes the tab as it was at first.
func (b *tab) forget() {
	b.Helper()
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, cookies := cdp.Call(ctx, t, network.ClearBrowserCookies, cdp.Empty{})
		_, size := cdp.Call(ctx, t, emulation.ClearDeviceMetricsOverride, cdp.Empty{})
		_, media := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{})
		_, scripts := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: false})
		return errors.Join(cookies, size, media, scripts)
	}))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.said = nil
}

// lastWord is said to the console after everything that is to be heard.
const lastWord = "info: that is all"

// heard returns what the console has said by now.
func (b *tab) heard() []string {
	b.Helper()
	eval[bool](b, `(() => { console.info("that is all"); return true; })()`)
	var heard []string
	require.Eventually(b, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		if !slices.Contains(b.said, lastWord) {
			return false
		}
		heard, b.said = slices.DeleteFunc(b.said, func(s string) bool { return s == lastWord }), nil
		return true
	}, 5*time.Second, time.Millisecond)
	return heard
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	require.NoError(b, chromedp.Do(ctx, steps...))
}

func (b *tab) visit(path string) {
	b.Helper()
	b.do(chromedp.Navigate(b.url + path))
}

// eval runs a script as the developer tools do: the page's policy does not hold it.
func eval[T any](b *tab, script string) T {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	require.NoError(b, err)
	return value
}

// until waits for a script's expression to be true, over changes of the page.
func (b *tab) until(expression string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 8*time.Second)
	defer cancel()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		// An error is that of a page that is just leaving.
		if is, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")")); err == nil && is {
			return
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			require.FailNow(b, "in vain: "+expression)
		}
	}
}

func (b *tab) size(width, height int64) { b.do(chromedp.EmulateViewport(width, height)) }

// prefers sets what the person prefers: pairs of a feature, such as prefers-color-scheme, and its value.
func (b *tab) prefers(pairs ...string) {
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		var features []*emulation.MediaFeature
		for pair := range slices.Chunk(pairs, 2) {
			features = append(features, &emulation.MediaFeature{Name: pair[0], Value: pair[1]})
		}
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
		return err
	}))
}

// picture shows the whole page, glance what stands in the window.
func (b *tab) picture() []byte { b.Helper(); return b.shoot(chromedp.FullScreenshot(100)) }
func (b *tab) glance() []byte  { b.Helper(); return b.shoot(chromedp.CaptureScreenshot()) }

func (b *tab) shoot(how chromedp.Action[[]byte]) []byte {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	png, err := chromedp.Run(ctx, how)
	require.NoError(b, err)
	return png
}

// as shows the page to somebody who has signed in before.
func (b *tab) as(token string) {
	b.Helper()
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, network.SetCookie, network.SetCookieParams{Name: "r2v", Value: token, URL: b.url, SameSite: network.CookieSameSiteStrict})
		return err
	}))
	b.visit("/")
}

// signIn fills in the form of the page.
func (b *tab) signIn(token string) {
	b.Helper()
	b.visit("/")
	b.do(chromedp.SendKeys(chromedp.CSS("#token"), token), chromedp.Click(chromedp.CSS("form.token button")))
	b.until(`document.readyState === "complete" && (document.querySelector("[role=alert]") || document.getElementById("list"))`)
}
