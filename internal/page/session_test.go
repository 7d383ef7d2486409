package page

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// post sends a form as the page's own.
func post(h http.Handler, path, token string, headers map[string]string) *http.Response {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(url.Values{"token": {token}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestSignInPutsTheTokenIntoACookieThatScriptsCannotRead(t *testing.T) {
	for _, c := range []struct {
		secure bool
		want   string
	}{
		{false, "r2v=" + annasToken + "; Path=/; HttpOnly; SameSite=Strict"},
		{true, "__Host-r2v=" + annasToken + "; Path=/; HttpOnly; Secure; SameSite=Strict"},
	} {
		o := options(twoPeople())
		o.Secure = c.secure
		resp := post(handler(t, o), "/sign-in", "  "+annasToken+"\n", sameOrigin())
		require.Equal(t, http.StatusSeeOther, resp.StatusCode)
		require.Equal(t, "/", resp.Header.Get("Location"))
		require.Equal(t, c.want, resp.Header.Get("Set-Cookie"))
	}
}

func TestSignInThatIsRefused(t *testing.T) {
	wrong := "r2v_wrong-token-1234"
	for name, c := range map[string]struct {
		token string
		want  int
		says  string
	}{
		"unknown":          {wrong, 401, "not known here"},
		"no bearer token":  {"two words", 401, "not known here"},
		"a cookie's sign":  {"a;b", 401, "not known here"},
		"outside of ASCII": {"tökén", 401, "not known here"},
		"only equals":      {"===", 401, "not known here"},
		"of a reader":      {readerToken, 403, "reads metrics"},
		"issuer down":      {downToken, 503, "cannot be checked now"},
		"empty":            {"", 400, "no token in the form"},
		"too long":         {strings.Repeat("x", longestToken+1), 400, "too long for a browser"},
		"endless":          {strings.Repeat("x", 10<<20), 400, "no token in the form"},
	} {
		t.Run(name, func(t *testing.T) {
			resp := post(handler(t, options(twoPeople())), "/sign-in", c.token, sameOrigin())
			require.Equal(t, c.want, resp.StatusCode)
			require.Empty(t, resp.Header.Get("Set-Cookie"))
			text := body(t, resp)
			require.Contains(t, text, c.says)
			require.Contains(t, text, `type="password"`)
			if c.token != "" {
				require.NotContains(t, text, c.token)
			}
			require.Equal(t, c.want == 503, resp.Header.Get("Retry-After") != "")
			require.Equal(t, c.want == 401, resp.Header.Get("WWW-Authenticate") == "Bearer")
		})
	}
}

func TestALongestTokenFitsIntoABrowsersCookie(t *testing.T) {
	token := strings.Repeat("x", longestToken)
	w := httptest.NewRecorder()
	(&page{Options: Options{Secure: true}}).setCookie(w, token)
	require.Less(t, len(w.Header().Get("Set-Cookie")), 4096)
}

func TestATokenInTheAddressIsNotRead(t *testing.T) {
	h := handler(t, options(twoPeople()))
	require.Contains(t, body(t, ask(h, http.MethodGet, "/?token="+annasToken, "", nil)), `type="password"`)
	r := httptest.NewRequest(http.MethodPost, "/sign-in?token="+annasToken, bytes.NewReader(nil))
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Contains(t, body(t, ask(h, http.MethodGet, "/", "", map[string]string{"Authorization": "Bearer " + annasToken})), `type="password"`, "the page takes its cookie only")
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		headers map[string]string
		want    int
	}{
		"by the browser's word":         {map[string]string{"Sec-Fetch-Site": "same-origin"}, 303},
		"by its origin":                 {map[string]string{"Origin": "http://example.com"}, 303},
		"behind a proxy that ends TLS":  {map[string]string{"Origin": "https://example.com"}, 303},
		"of a site beside":              {map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "http://example.com"}, 403},
		"of another site":               {map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		"typed in":                      {map[string]string{"Sec-Fetch-Site": "none"}, 403},
		"of another origin":             {map[string]string{"Origin": "http://evil.example"}, 403},
		"of another port":               {map[string]string{"Origin": "http://example.com:8080"}, 403},
		"of nobody who says who he is":  {map[string]string{"Origin": "null"}, 403},
		"without a word of its origin":  {nil, 403},
		"of what is no address":         {map[string]string{"Origin": "http://%zz"}, 403},
		"with the host in the userinfo": {map[string]string{"Origin": "http://example.com@evil.example"}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			h := handler(t, options(twoPeople()))
			require.Equal(t, c.want, post(h, "/sign-in", annasToken, c.headers).StatusCode)
			out := post(h, "/sign-out", "", c.headers)
			require.Equal(t, c.want, out.StatusCode)
			require.Equal(t, c.want == 303, out.Header.Get("Set-Cookie") != "")
		})
	}
}

func TestSignOutTakesTheCookieAway(t *testing.T) {
	resp := post(handler(t, options(twoPeople())), "/sign-out", "", sameOrigin())
	require.Equal(t, "r2v=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict", resp.Header.Get("Set-Cookie"))
}

func TestTheTokenOfACookieIsCheckedEachTime(t *testing.T) {
	h := handler(t, options(twoPeople()))
	for name, c := range map[string]struct {
		token   string
		page    int
		clip    int
		cleared bool
		says    string
	}{
		"good":        {annasToken, 200, 200, false, "r2v_a"},
		"none":        {"", 200, 401, false, "Sign in"},
		"revoked":     {"r2v_revoked", 401, 401, true, "not known here"},
		"a reader's":  {readerToken, 403, 403, true, "reads metrics"},
		"issuer down": {downToken, 503, 503, false, "cannot be checked now"},
	} {
		t.Run(name, func(t *testing.T) {
			resp := ask(h, http.MethodGet, "/", c.token, nil)
			require.Equal(t, c.page, resp.StatusCode)
			require.Equal(t, c.cleared, strings.Contains(resp.Header.Get("Set-Cookie"), "Max-Age=0"))
			text := body(t, resp)
			require.Contains(t, text, c.says)
			clip := ask(h, http.MethodGet, "/clips/r2v_a.mp4", c.token, nil)
			require.Equal(t, c.clip, clip.StatusCode)
			if c.clip != 200 {
				text += body(t, clip)
			}
			if c.token != "" {
				require.NotContains(t, text, c.token)
			}
		})
	}
}

func TestThePageOfHttpsTakesOnlyItsOwnCookie(t *testing.T) {
	o := options(twoPeople())
	o.Secure = true
	require.Contains(t, body(t, ask(handler(t, o), http.MethodGet, "/", annasToken, nil)), `type="password"`, "a cookie that http may have set")
}
