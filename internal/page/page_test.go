package page

import (
	"context"
	"errors"
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/video"
)

func TestAPageNeedsTasks(t *testing.T) {
	_, err := New(Options{})
	require.Error(t, err)
	h, err := New(options(twoPeople()))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, ask(h, http.MethodGet, "/", annasToken, nil).StatusCode)
}

func TestEverybodySeesTheirOwnTasksOnly(t *testing.T) {
	b := twoPeople()
	b.tasks["anna"][0].Request.Prompt, b.tasks["ben"][0].Request.Prompt = "a red kite", "a blue whale"
	h := handler(t, options(b))
	annas := body(t, ask(h, http.MethodGet, "/", annasToken, nil))
	require.Contains(t, annas, "a red kite")
	require.NotContains(t, annas, "a blue whale")
	require.NotContains(t, annas, "r2v_b")
	bens := body(t, ask(h, http.MethodGet, "/", bensToken, nil))
	require.Contains(t, bens, "a blue whale")
	require.NotContains(t, bens, "a red kite")
	require.Equal(t, video.Filter{Owner: "anna", Limit: onePage}, b.asked[0])

	// Whatever the list says.
	b.tasks["ben"] = append(b.tasks["ben"], b.tasks["anna"][0])
	require.NotContains(t, body(t, ask(h, http.MethodGet, "/", bensToken, nil)), "a red kite")
}

func TestWithoutTokensEverybodyIsNobody(t *testing.T) {
	b := twoPeople()
	b.tasks[""] = []video.Task{made("r2v_n", goodClip)}
	o := options(b)
	o.SignIn = nil
	h := handler(t, o)
	text := body(t, ask(h, http.MethodGet, "/", "", nil))
	require.Contains(t, text, "r2v_n")
	require.NotContains(t, text, "r2v_a")
	require.NotContains(t, text, "Sign out")
	require.Equal(t, http.StatusNotFound, ask(h, http.MethodPost, "/sign-in", "", sameOrigin()).StatusCode)
	require.Equal(t, http.StatusOK, ask(h, http.MethodGet, "/clips/r2v_n.mp4", "", nil).StatusCode)
	require.Equal(t, http.StatusNotFound, ask(h, http.MethodGet, "/clips/r2v_a.mp4", "", nil).StatusCode)
}

func sameOrigin() map[string]string { return map[string]string{"Sec-Fetch-Site": "same-origin"} }

func TestEveryAnswerCarriesThePolicy(t *testing.T) {
	h := handler(t, options(twoPeople()))
	for _, path := range []string{"/", "/page.css", "/page.js", "/clips/r2v_a.mp4", "/clips/r2v_b.mp4", "/nowhere", "/?cursor=x"} {
		for _, token := range []string{annasToken, "wrong", ""} {
			got := ask(h, http.MethodGet, path, token, nil).Header
			require.Equal(t, "default-src 'none'; style-src 'self'; script-src 'self'; media-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
				got.Get("Content-Security-Policy"), path)
			require.Equal(t, "nosniff", got.Get("X-Content-Type-Options"))
			require.Equal(t, "same-origin", got.Get("Referrer-Policy"))
			require.Equal(t, "same-origin", got.Get("Cross-Origin-Resource-Policy"))
			if path != "/clips/r2v_a.mp4" || token != annasToken {
				require.Equal(t, "no-store", got.Get("Cache-Control"), path)
			}
		}
	}
}

func TestThePageFetchesNothingFromElsewhere(t *testing.T) {
	text := body(t, ask(handler(t, exampleOptions()), http.MethodGet, "/", annasToken, nil))
	for _, source := range []string{"src=\"http", "src=\"//", "@import", "url(", "style=\"", "onclick", "<style", "<iframe"} {
		require.NotContains(t, text+string(style), source)
	}
	require.Equal(t, 1, strings.Count(text, "<script"), "one script, from a file")
}

func TestUnknownPathsAndMethods(t *testing.T) {
	h := handler(t, options(twoPeople()))
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{http.MethodGet, "/nowhere", 404},
		{http.MethodGet, "/sign-in", 405},
		{http.MethodGet, "/sign-out", 405},
		{http.MethodPost, "/", 405},
		{http.MethodDelete, "/clips/r2v_a.mp4", 405},
		{http.MethodHead, "/", 200},
		{http.MethodHead, "/page.css", 200},
	} {
		resp := ask(h, c.method, c.path, annasToken, nil)
		require.Equal(t, c.want, resp.StatusCode, "%s %s", c.method, c.path)
		if c.want == 405 {
			require.NotEmpty(t, resp.Header.Get("Allow"))
		}
	}
}

func TestOlderTasksAreAPageAway(t *testing.T) {
	b := twoPeople()
	for range onePage {
		b.add("anna", made("r2v_more", goodClip))
	}
	h := handler(t, options(b))
	first := body(t, ask(h, http.MethodGet, "/", annasToken, nil))
	require.Contains(t, first, `href="/?cursor=20" rel="next"`)
	require.NotContains(t, first, "Newest")
	last := body(t, ask(h, http.MethodGet, "/?cursor=20", annasToken, nil))
	require.Contains(t, last, "r2v_a")
	require.Contains(t, last, `href="/" rel="first"`)
	require.NotContains(t, last, "Older")
}

func TestACursorThatNobodyGaveOutIsRefused(t *testing.T) {
	h := handler(t, options(twoPeople()))
	for _, cursor := range []string{"nonsense", strings.Repeat("9", 10_000)} {
		resp := ask(h, http.MethodGet, "/?cursor="+cursor, annasToken, nil)
		require.Equal(t, http.StatusBadRequest, resp.StatusCode)
		text := body(t, resp)
		require.Contains(t, text, "never given out")
		require.NotContains(t, text, cursor)
	}
}

func TestALedgerThatCannotBeReadIsSaid(t *testing.T) {
	for name, broken := range map[string]error{
		"explained": &video.Error{Failure: video.Failure{Code: "LedgerUnavailable", Message: "the ledger /var/lib/secret/place cannot be used"}},
		"bare":      errors.New("disk I/O error at /var/lib/secret/place"),
	} {
		t.Run(name, func(t *testing.T) {
			b := twoPeople()
			b.broken = broken
			resp := ask(handler(t, options(b)), http.MethodGet, "/", annasToken, nil)
			require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
			require.NotEmpty(t, resp.Header.Get("Retry-After"))
			text := body(t, resp)
			require.Contains(t, text, "The tasks cannot be read now")
			require.NotContains(t, text, "secret")
		})
	}
}

func TestABudgetThatCannotBeReadIsSaid(t *testing.T) {
	o := options(twoPeople())
	o.Tasks = brokenBudget{o.Tasks}
	require.Equal(t, http.StatusServiceUnavailable, ask(handler(t, o), http.MethodGet, "/", annasToken, nil).StatusCode)
}

type brokenBudget struct{ Tasks }

func (brokenBudget) Budget(context.Context, string, string) (*video.Budget, error) {
	return nil, errors.New("no such table")
}

func TestTodaysSpendingIsToldWithoutALimitToo(t *testing.T) {
	o := options(twoPeople())
	shown := func() string { return plain(body(t, ask(handler(t, o), http.MethodGet, "/", annasToken, nil))) }
	require.NotContains(t, shown(), " today.")
	require.Contains(t, shown(), "No limit is set for a day.")

	var asked []string
	o.Spent = func(_ context.Context, owner, currency string) (decimal.Decimal, error) {
		asked = append(asked, owner, currency)
		return money("0.9"), nil
	}
	require.Contains(t, shown(), `<strong>0.90 USD</strong> today.</p> <p class="soft">No limit is set for a day.</p>`)
	require.Equal(t, []string{"anna", "USD"}, asked)

	o.Tasks.(*books).budget = &video.Budget{PerDay: money("20"), Used: money("6"), Left: money("14"), Currency: "USD", ResetsAt: noon}
	require.Contains(t, shown(), "<strong>6.00</strong> of 20.00 USD")
	require.Len(t, asked, 2, "the budget tells it")
}

func TestASpendingThatCannotBeReadIsSaid(t *testing.T) {
	o := options(twoPeople())
	o.Spent = func(context.Context, string, string) (decimal.Decimal, error) {
		return decimal.Decimal{}, errors.New("no such table")
	}
	require.Equal(t, http.StatusServiceUnavailable, ask(handler(t, o), http.MethodGet, "/", annasToken, nil).StatusCode)
}

// TestOnlyTheAddressOfAFileBecomesALink is for a service that tells something else: a click must not run it.
func TestOnlyTheAddressOfAFileBecomesALink(t *testing.T) {
	for link, good := range map[string]bool{
		"https://clips.example/a%2Fb.mp4?Expires=1&Signature=a%2Bb%3D": true,
		"HTTPS://clips.example/a.mp4":                                  true,
		"javascript:alert(1)":                                          false,
		"JavaScript://clips.example/%0aalert(1)":                       false,
		"\njavascript:alert(1)":                                        false,
		"java\tscript:alert(1)":                                        false,
		"data:text/html,<script>alert(1)</script>":                     false,
		"data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==":   false,
		"vbscript:x":                  false,
		"http://clips.example/a.mp4":  false,
		"//clips.example/a.mp4":       false,
		"/sign-out":                   false,
		"https:alert(1)":              false,
		`https:\\clips.example/a.mp4`: false,
	} {
		t.Run(link, func(t *testing.T) {
			b := twoPeople()
			task := made("r2v_x", "")
			task.VideoURL = link
			b.add("anna", task)
			text := body(t, ask(handler(t, options(b)), http.MethodGet, "/", annasToken, nil))
			require.Contains(t, text, "The clip is made, and not saved here.")
			require.Equal(t, good, strings.Contains(text, `href="`+html.EscapeString(link)+`"`))
			require.Equal(t, good, strings.Contains(text, "Download the clip"))
		})
	}
}

func TestACursorIsOnlyACursorInTheLink(t *testing.T) {
	b := twoPeople()
	o := options(b)
	o.Tasks = oddCursor{o.Tasks}
	require.Contains(t, body(t, ask(handler(t, o), http.MethodGet, "/", annasToken, nil)), `href="/?cursor=%22%3E%26x%3D1%23+"`)
}

type oddCursor struct{ Tasks }

func (o oddCursor) List(ctx context.Context, f video.Filter) ([]video.Task, string, error) {
	tasks, _, err := o.Tasks.List(ctx, f)
	return tasks, `">&x=1# `, err
}

func TestWhatOthersWroteIsOnlyText(t *testing.T) {
	b := twoPeople()
	task := running("r2v_x", time.Minute)
	task.Status, task.EndedAt = video.Failed, noon
	task.Request.Prompt = `<script>alert("x")</script>"'><img src=x onerror=alert(1)> ` + "\u202eevil\u2066 \x00\x1b[31mred\u200b" + strings.Repeat("long ", 500)
	task.Request.Model = `"><b>model`
	task.Failure = &video.Failure{Code: "<i>Code", Message: "<script>\u202eegassem</script>" + strings.Repeat("x", 5000), Advice: "Do <b>this</b>."}
	task.SaveError = "<u>\u2029disk"
	b.add("anna", task)
	text := body(t, ask(handler(t, options(b)), http.MethodGet, "/", annasToken, nil))
	require.Less(t, len(text), 8_000, "long texts are cut")
	for _, live := range []string{"<script>alert", "<img", "<b>", "<i>", "<u>", "\u202e", "\u2066", "\u200b", "\u2029", "\x00", "\x1b"} {
		require.NotContains(t, text, live)
	}
	require.Contains(t, text, "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;")
	require.Contains(t, text, "…")
}

func TestTheFilesOfThePageSayWhatTheyAre(t *testing.T) {
	h := handler(t, options(twoPeople()))
	require.Equal(t, "text/javascript; charset=utf-8", ask(h, http.MethodGet, "/page.js", "", nil).Header.Get("Content-Type"))
	require.Equal(t, "text/css; charset=utf-8", ask(h, http.MethodGet, "/page.css", "", nil).Header.Get("Content-Type"))
}

func BenchmarkPageOfTwentyTasks(b *testing.B) {
	books := twoPeople()
	for range onePage {
		books.add("anna", running("r2v_more", time.Minute))
	}
	h, err := New(options(books))
	require.NoError(b, err)
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.AddCookie(&http.Cookie{Name: "r2v", Value: annasToken})
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}
