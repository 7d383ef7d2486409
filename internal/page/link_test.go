package page

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/video"
)

// browsing are the headers of a browser that follows a link.
func browsing(site string) map[string]string {
	return map[string]string{"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
}

// TestALinkOfAnotherSiteTellsNothingOfTheClip compares whole answers: they are the same whatever the clip is, and whoever asks.
func TestALinkOfAnotherSiteTellsNothingOfTheClip(t *testing.T) {
	b := twoPeople()
	h := handler(t, options(b))
	var first string
	for _, id := range []string{"r2v_a", "r2v_b", "r2v_never"} {
		for _, token := range []string{"", annasToken, "r2v_revoked", downToken} {
			path := "/clips/" + id + ".mp4"
			resp := ask(h, http.MethodGet, path, token, browsing("cross-site"))
			require.Equal(t, http.StatusOK, resp.StatusCode)
			require.Equal(t, "text/html; charset=utf-8", resp.Header.Get("Content-Type"))
			require.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
			require.Equal(t, "same-origin", resp.Header.Get("Cross-Origin-Opener-Policy"))
			text := body(t, resp)
			require.Contains(t, text, `href="`+path+`">Play the clip</a>`)
			require.Contains(t, text, `http-equiv="refresh" content="0; url=`+path+`"`)
			require.Contains(t, text, `<a href="/">Sign in</a>`)
			alike := strings.ReplaceAll(text, id, "ID")
			if first == "" {
				first = alike
			}
			require.Equal(t, first, alike, "%s, %q", id, token)
		}
	}
	require.Equal(t, http.StatusNotFound, ask(h, http.MethodGet, "/clips/a%22b.mp4", "", browsing("cross-site")).StatusCode, "no id, no link")
}

func TestOnlyALinkOfAnotherSiteIsPassedOn(t *testing.T) {
	with := func(headers map[string]string, name, value string) map[string]string {
		headers[name] = value
		return headers
	}
	h := handler(t, options(twoPeople()))
	for name, headers := range map[string]map[string]string{
		"from the page":         browsing("same-origin"),
		"typed in":              browsing("none"),
		"a site beside":         browsing("same-site"), // the cookie comes along
		"a player":              with(browsing("cross-site"), "Sec-Fetch-Mode", "no-cors"),
		"an agent":              with(browsing("cross-site"), "Authorization", "Bearer "+annasToken),
		"a program":             with(browsing("cross-site"), "Accept", "*/*"),
		"a browser of long ago": {"Accept": "text/html"},
	} {
		resp := ask(h, http.MethodGet, "/clips/r2v_a.mp4", annasToken, headers)
		require.Equal(t, "video/mp4", resp.Header.Get("Content-Type"), name)
	}
	b := twoPeople()
	b.tasks[""] = []video.Task{made("r2v_n", goodClip)}
	o := options(b)
	o.SignIn = nil
	resp := ask(handler(t, o), http.MethodGet, "/clips/r2v_n.mp4", "", browsing("cross-site"))
	require.Equal(t, "video/mp4", resp.Header.Get("Content-Type"), "there is no cookie to come along")
}

func TestABrowserGetsAPageAndAProgramALine(t *testing.T) {
	h := handler(t, options(twoPeople()))
	for name, c := range map[string]struct {
		file, token string
		want        int
		says        string
		form        bool
	}{
		"signed out":     {"r2v_a.mp4", "", 401, "Sign in", true},
		"revoked":        {"r2v_a.mp4", "r2v_revoked", 401, "not known here", true},
		"a reader's":     {"r2v_a.mp4", readerToken, 403, "reads metrics", true},
		"issuer down":    {"r2v_a.mp4", downToken, 503, "cannot be checked now", true},
		"another's":      {"r2v_b.mp4", annasToken, 404, "There is no such clip.", false},
		"of no such id":  {"r2v%20a.mp4", annasToken, 404, "There is no such clip.", false},
		"no clip's name": {"r2v_a.mp3", "", 404, "There is no such clip.", false},
	} {
		t.Run(name, func(t *testing.T) {
			resp := ask(h, http.MethodGet, "/clips/"+c.file, c.token, browsing("same-origin"))
			require.Equal(t, c.want, resp.StatusCode)
			require.Equal(t, "text/html; charset=utf-8", resp.Header.Get("Content-Type"))
			require.Equal(t, c.want == 401, resp.Header.Get("WWW-Authenticate") == "Bearer")
			require.Equal(t, c.want == 503, resp.Header.Get("Retry-After") != "")
			text := body(t, resp)
			require.Contains(t, text, c.says)
			require.Equal(t, c.form, strings.Contains(text, `type="password"`))

			agent := map[string]string{"Accept": "text/html, */*", "Authorization": "Bearer " + c.token}
			for _, headers := range []map[string]string{nil, {"Accept": "*/*"}, agent} {
				resp := ask(h, http.MethodGet, "/clips/"+c.file, c.token, headers)
				require.Equal(t, c.want, resp.StatusCode)
				require.Equal(t, "text/plain; charset=utf-8", resp.Header.Get("Content-Type"))
			}
		})
	}
}

// TestAClipThatIsGoneLeadsToTheService while it is there.
func TestAClipThatIsGoneLeadsToTheService(t *testing.T) {
	b := twoPeople()
	b.change("anna", "r2v_a", func(t *video.Task) { t.SavedTo = "/nowhere/at.all" })
	h := handler(t, options(b))
	gone := func() string {
		resp := ask(h, http.MethodGet, "/clips/r2v_a.mp4", annasToken, browsing("same-origin"))
		require.Equal(t, http.StatusGone, resp.StatusCode)
		text := body(t, resp)
		require.Contains(t, text, clipGone)
		return text
	}
	require.Contains(t, gone(), `href="https://clips.example/a.mp4?signature=s"`)
	const still = `hidden>` + clipGone + ` <a href="/clips/r2v_a.mp4">The service still has it.</a>`
	require.Contains(t, body(t, ask(h, http.MethodGet, "/", annasToken, nil)), still)
	b.change("anna", "r2v_a", func(t *video.Task) { t.EndedAt = noon.Add(-25 * time.Hour) })
	require.NotContains(t, gone(), "clips.example")
	require.NotContains(t, body(t, ask(h, http.MethodGet, "/", annasToken, nil)), "still has it")
}

// elsewhere is a page of another site with a link to a clip. Chromium takes localhost and 127.0.0.1 for two sites.
func elsewhere(t *testing.T, link string) (url string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!doctype html><link rel="icon" href="data:,"><a href=%q>Look at this</a>`, link)
	}))
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
}

// aLinkFromElsewhere is followed by somebody who has signed in: the first request comes without the cookie, the next with it.
func aLinkFromElsewhere(in tabs, t *testing.T) {
	const clip = "/clips/r2v_a.mp4"
	h := handler(t, options(twoPeople()))
	asked := make(chan string, 16)
	b := open(in, t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.URL.Path == clip {
			asked <- fmt.Sprint(r.Header.Get("Sec-Fetch-Site"), " ", len(r.Cookies()))
		}
		h.ServeHTTP(w, r)
	}))
	b.as(annasToken)
	b.do(chromedp.Navigate(elsewhere(t, b.url+clip)), chromedp.Click(chromedp.CSS("a")))
	b.until(`location.pathname === "` + clip + `" && document.querySelector("video")?.currentTime > 0.1`)
	require.Equal(t, "cross-site 0", <-asked)
	require.Equal(t, "same-origin 1", <-asked)
	require.Empty(t, asked)
}

func aClipThatIsGoneIsSaid(in tabs, t *testing.T) {
	books := twoPeople()
	books.change("anna", "r2v_a", func(t *video.Task) { t.SavedTo = "/nowhere/at.all" })
	b := open(in, t, handler(t, options(books)), "status of 410")
	b.as(annasToken)
	b.until(`!document.querySelector("video")`)
	b.until(`document.querySelector(".stage").innerText === "` + clipGone + ` The service still has it."`)
	b.do(chromedp.Click(chromedp.CSS(".stage a")))
	b.until(`document.querySelector(".link a[href^='https://clips.example/']")`)
}

// aRetriedClipAppears when saving has succeeded at last.
func aRetriedClipAppears(in tabs, t *testing.T) {
	books := twoPeople()
	unsaved := made("r2v_unsaved", "")
	unsaved.SaveError = "there is no room"
	books.add("anna", unsaved)
	b := open(in, t, handler(t, options(books)))
	b.as(annasToken)
	require.Contains(t, eval[string](b, `document.querySelector("#task-r2v_unsaved .trouble").innerText`), "tried again by itself")
	books.change("anna", "r2v_unsaved", func(t *video.Task) { t.SavedTo, t.SaveError = goodClip, "" })
	b.refresh()
	b.until(`document.querySelector("#task-r2v_unsaved video")?.readyState >= 1`)
}
