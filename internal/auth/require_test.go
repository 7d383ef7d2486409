package auth_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/auth"
)

const metadataAt = "https://r2v.example/.well-known/oauth-protected-resource/mcp"

// server is one that asks for tokens of a file and of a provider; it answers with who asks.
func server(t *testing.T, i *issuer) *httptest.Server {
	t.Helper()
	tokens, _, _ := open(t, fileOf(t, "alice "+hashed(alices), "prometheus "+hashed(scrapes)+" metrics"))
	s := httptest.NewServer(auth.Require(auth.Any(tokens, i.people(t)), func(*http.Request) string { return metadataAt })(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, goesOn := r.Header["Authorization"]; goesOn || r.Header.Get("X-Other") != "kept" {
				t.Error("what goes on has all headers but the token's", r.Header)
			}
			w.Header().Set("X-Person", auth.From(r.Context()).Name)
		})))
	t.Cleanup(s.Close)
	return s
}

// said is an answer.
type said struct {
	status                   int
	person, challenge, retry string
	body                     string
}

func ask(t *testing.T, s *httptest.Server, path string, authorization ...string) said {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+path, strings.NewReader("{}"))
	require.NoError(t, err)
	req.Header["Authorization"] = authorization
	req.Header.Set("X-Other", "kept")
	resp, err := s.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	if resp.StatusCode != http.StatusOK {
		require.Equal(t, "text/plain; charset=utf-8", resp.Header.Get("Content-Type"))
		require.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
		require.Less(t, len(body), 400)
	}
	return said{resp.StatusCode, resp.Header.Get("X-Person"), resp.Header.Get("WWW-Authenticate"), resp.Header.Get("Retry-After"), string(body)}
}

func TestAGoodTokenGoesOnAsItsPerson(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	s := server(t, i)
	for authorization, person := range map[string]string{
		"Bearer " + alices: "alice", "bearer " + alices: "alice", "BEARER   " + alices: "alice", "Bearer " + i.token(): "alice@" + i.URL,
	} {
		got := ask(t, s, "/mcp?cursor=2", authorization)
		require.Equal(t, said{status: 200, person: person}, got)
	}
	require.Equal(t, said{status: 200, person: "prometheus"}, ask(t, s, "/metrics", "Bearer "+scrapes))
}

// The server may still have the request in hand, for its own log.
func TestTheRequestItselfStaysAsItIs(t *testing.T) {
	t.Parallel()
	tokens, _, _ := open(t, fileOf(t, "alice "+hashed(alices)))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+alices)
	w := httptest.NewRecorder()
	auth.Require(tokens, nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(202) })).ServeHTTP(w, r)
	require.Equal(t, 202, w.Code)
	require.Equal(t, "Bearer "+alices, r.Header.Get("Authorization"))
	require.Zero(t, auth.From(r.Context()))
}

func TestBadHeadersDoNotGoOn(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	s := server(t, i)
	const (
		nothing = `Bearer resource_metadata="` + metadataAt + `"`
		request = `Bearer error="invalid_request", resource_metadata="` + metadataAt + `"`
		invalid = `Bearer error="invalid_token", resource_metadata="` + metadataAt + `"`
		scope   = `Bearer error="insufficient_scope", resource_metadata="` + metadataAt + `"`
	)
	for name, tt := range map[string]struct {
		path          string
		authorization []string
		status        int
		challenge     string
		text          string
	}{
		"no header":               {"/mcp", nil, 401, nothing, "Authorization: Bearer TOKEN"},
		"an empty one":            {"/mcp", []string{""}, 401, nothing, "Authorization: Bearer TOKEN"},
		"no token":                {"/mcp", []string{"Bearer"}, 401, nothing, "sign in"},
		"blanks for a token":      {"/mcp", []string{"Bearer    "}, 401, nothing, "r2v-mcp token NAME"},
		"a bare token":            {"/mcp", []string{alices}, 401, nothing, "Bearer TOKEN"},
		"a password":              {"/mcp", []string{"Basic YWxpY2U6cGFzcw=="}, 401, nothing, "Bearer TOKEN"},
		"another scheme":          {"/mcp", []string{"Token " + alices}, 401, nothing, "Bearer TOKEN"},
		"a scheme that begins so": {"/mcp", []string{"Bearer1 " + alices}, 401, nothing, "Bearer TOKEN"},
		"a tab":                   {"/mcp", []string{"Bearer\t" + alices}, 401, nothing, "Bearer TOKEN"},
		"two headers":             {"/mcp", []string{"Bearer " + alices, "Bearer " + alices}, 400, request, "once"},
		"a good and a bad one":    {"/mcp", []string{"Bearer " + alices, "Basic x"}, 400, request, "once"},
		"two in one":              {"/mcp", []string{"Bearer " + alices + ", Bearer " + alices}, 400, request, "nothing else"},
		"a parameter":             {"/mcp", []string{"Bearer " + alices + " x=1"}, 400, request, "nothing else"},
		"quotes":                  {"/mcp", []string{`Bearer "` + alices + `"`}, 400, request, "nothing else"},
		"angle brackets":          {"/mcp", []string{"Bearer <" + alices + ">"}, 400, request, "nothing else"},
		"a placeholder":           {"/mcp", []string{"Bearer ${R2V_TOKEN}"}, 400, request, "nothing else"},
		"bytes of elsewhere":      {"/mcp", []string{"Bearer " + alices + "\xff"}, 400, request, "nothing else"},
		"a = in the middle":       {"/mcp", []string{"Bearer a=b" + alices}, 400, request, "nothing else"},
		"nobody's":                {"/mcp", []string{"Bearer " + nobodys}, 401, invalid, "not known here"},
		"its first characters":    {"/mcp", []string{"Bearer " + alices[:20]}, 401, invalid, "not known here"},
		"with a = behind":         {"/mcp", []string{"Bearer " + alices + "="}, 401, invalid, "not known here"},
		"capitals":                {"/mcp", []string{"Bearer " + strings.ToUpper(alices)}, 401, invalid, "not known here"},
		"its hash":                {"/mcp", []string{"Bearer " + hashed(alices)[7:]}, 401, invalid, "not known here"},
		"an expired JWT":          {"/mcp", []string{"Bearer " + i.token("exp", ago(time.Hour))}, 401, invalid, "it has expired"},
		"a JWT for another":       {"/mcp", []string{"Bearer " + i.token("aud", "https://other.example")}, 401, invalid, "another audience"},
		"an unsigned JWT":         {"/mcp", []string{"Bearer " + strings.Join(strings.Split(i.token(), ".")[:2], ".") + "."}, 401, invalid, "not known here"},
		"a badly signed JWT":      {"/mcp", []string{"Bearer " + signed(jose.RS256, otherRSA(), "rsa", i.claims())}, 401, invalid, "signature"},
		"in the query":            {"/mcp?access_token=" + alices, nil, 400, request, "header"},
		"in the query, as token":  {"/?x=1&token=" + alices, nil, 400, request, "header"},
		"in the query, as a key":  {"/mcp?API_Key=" + alices, nil, 400, request, "header"},
		"in the query, escaped":   {"/mcp?%74oken=" + alices, nil, 400, request, "header"},
		"there and in the header": {"/mcp?access_token=" + alices, []string{"Bearer " + alices}, 400, request, "header"},
		"a reader that calls":     {"/mcp", []string{"Bearer " + scrapes}, 403, scope, "reads /metrics and nothing else"},
		"a reader on the page":    {"/", []string{"Bearer " + scrapes}, 403, scope, "r2v-mcp token NAME"},
		"a reader nearby":         {"/metrics/", []string{"Bearer " + scrapes}, 403, scope, "reads /metrics and nothing else"},
		"a person at the metrics": {"/metrics", []string{"Bearer " + alices}, 403, scope, "--metrics"},
		"a signed-in one there":   {"/metrics", []string{"Bearer " + i.token()}, 403, scope, "--metrics"},
		"nobody at the metrics":   {"/metrics", nil, 401, nothing, "Bearer TOKEN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ask(t, s, tt.path, tt.authorization...)
			require.Equal(t, tt.status, got.status, got.body)
			require.Equal(t, tt.challenge, got.challenge)
			require.Contains(t, got.body, tt.text)
			require.Empty(t, got.person)
			require.NotContains(t, got.body, alices)
		})
	}
}

// Go's own client sends no such bytes.
func TestWhatIsWrittenByHandDoesNotGoOn(t *testing.T) {
	t.Parallel()
	s := server(t, newIssuer(t))
	for name, tt := range map[string]struct{ header, want string }{
		"a zero":              {"Authorization: Bearer " + alices + "\x00", "HTTP/1.1 400"},
		"small letters twice": {"authorization: Bearer " + alices + "\r\nAUTHORIZATION: Bearer " + alices, "HTTP/1.1 400"},
		"a megabyte":          {"Authorization: Bearer " + strings.Repeat("a", 2<<20), "HTTP/1.1 431"},
	} {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.Listener.Addr().String())
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.SetDeadline(time.Now().Add(5*time.Second)))
		go io.WriteString(conn, "POST /mcp HTTP/1.1\r\nHost: x\r\nX-Other: kept\r\nConnection: close\r\nContent-Length: 0\r\n"+tt.header+"\r\n\r\n")
		answer := make([]byte, len(tt.want))
		_, err = io.ReadFull(conn, answer)
		require.NoError(t, err, name)
		require.Equal(t, tt.want, string(answer), name)
	}
}

func TestATokenThatCannotBeCheckedMayBeTriedAgain(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	s := server(t, i)
	i.set(func() { i.broken = http.NotFound })
	got := ask(t, s, "/mcp", "Bearer "+i.token())
	require.Equal(t, 503, got.status)
	require.Equal(t, "5", got.retry)
	require.Empty(t, got.challenge, "a client must not throw a good token away")
	require.NotContains(t, got.body, "127.0.0.1")
	require.Equal(t, 200, ask(t, s, "/mcp", "Bearer "+alices).status, "tokens of the file need no provider")
	require.Equal(t, 401, ask(t, s, "/mcp", "Bearer "+nobodys).status)
}

func TestAChallengeIsAsSafeAsItsAddress(t *testing.T) {
	t.Parallel()
	tokens, _, _ := open(t, fileOf(t, "alice "+hashed(alices)))
	for address, want := range map[string]string{
		"":                                "Bearer",
		`https://x", error="`:             "Bearer",
		"https://x\r\nSet-Cookie: a=b":    "Bearer",
		`https://x\`:                      "Bearer",
		"https://r2v.example/.well-known": `Bearer resource_metadata="https://r2v.example/.well-known"`,
	} {
		w := httptest.NewRecorder()
		auth.Require(tokens, func(*http.Request) string { return address })(http.NotFoundHandler()).
			ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		require.Equal(t, []string{want}, w.Header()["Www-Authenticate"])
	}
	w := httptest.NewRecorder()
	auth.Require(tokens, nil)(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	require.Equal(t, "Bearer", w.Header().Get("WWW-Authenticate"))
	require.NotContains(t, w.Body.String(), "OpenID", "there is none")
}

func TestMetadataTellWhereToSignIn(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(auth.Metadata(func(r *http.Request) string { return "https://" + r.Host + "/mcp" }, "https://accounts.example"))
	t.Cleanup(s.Close)
	for method, status := range map[string]int{"GET": 200, "HEAD": 200, "OPTIONS": 204, "POST": 405, "DELETE": 405} {
		req, err := http.NewRequestWithContext(t.Context(), method, s.URL, nil)
		require.NoError(t, err)
		req.Host = "r2v.example"
		resp, err := s.Client().Do(req)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, status, resp.StatusCode, method)
		require.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Origin"))
		switch method {
		case "GET":
			require.Equal(t, "application/json", resp.Header.Get("Content-Type"))
			require.JSONEq(t, `{"resource":"https://r2v.example/mcp","authorization_servers":["https://accounts.example"],"bearer_methods_supported":["header"]}`, string(body))
		case "OPTIONS":
			require.Equal(t, "*", resp.Header.Get("Access-Control-Allow-Headers"))
		case "POST":
			require.Equal(t, "GET, HEAD, OPTIONS", resp.Header.Get("Allow"))
		}
	}
}

func TestMetadataAreFoundByTheResource(t *testing.T) {
	t.Parallel()
	for resource, want := range map[string]string{
		"https://r2v.example/mcp":    metadataAt,
		"https://r2v.example":        "https://r2v.example/.well-known/oauth-protected-resource",
		"https://r2v.example/":       "https://r2v.example/.well-known/oauth-protected-resource",
		"http://127.0.0.1:8787/mcp":  "http://127.0.0.1:8787/.well-known/oauth-protected-resource/mcp",
		"https://r2v.example/a%2Fb/": "https://r2v.example/.well-known/oauth-protected-resource/a%2Fb",
		"":                           "", "/mcp": "", "\x00": "",
	} {
		require.Equal(t, want, auth.MetadataURL(resource))
	}
}

// A token stands in no error, no line of a log and no answer, be it good, bad, broken or in the wrong place.
func TestNoTokenIsEverRepeated(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	var j journal
	made, line, err := auth.NewToken("carol", false)
	require.NoError(t, err)
	path := fileOf(t, "alice "+hashed(alices), line)
	tokens, err := auth.OpenTokens(path, logTo(&j))
	require.NoError(t, err)
	clock := &clock{}
	tokens.SetClock(clock.now)
	secrets := []string{alices, alices2, nobodys, made, i.token(), i.token("exp", ago(time.Hour)), i.token("aud", "x"), i.token("sub", "a\nb")}
	for _, token := range i.withoutKeys() {
		if len(token) > 30 && len(token) < 1<<16 {
			secrets = append(secrets, token)
		}
	}
	for _, token := range i.badSignatures() {
		secrets = append(secrets, token)
	}
	var out strings.Builder
	v := auth.Any(tokens, i.people(t))
	h := auth.Require(v, func(*http.Request) string { return metadataAt })(http.NotFoundHandler())
	round := func() {
		for _, token := range secrets {
			if _, err := v.Verify(t.Context(), token); err != nil {
				out.WriteString(err.Error() + "\n")
			}
			for _, headers := range [][]string{{"Bearer " + token}, {token}, {"Bearer " + token, token}, {"Basic " + token}} {
				for _, path := range []string{"/mcp", "/metrics", "/?token=x"} {
					r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
					r.Header["Authorization"] = headers
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					out.WriteString(w.Body.String())
					out.WriteString(string(must(json.Marshal(w.Header()))) + "\n")
				}
			}
		}
	}
	round()
	i.set(func() { i.broken = http.NotFound })
	i.clock.pass(time.Hour) // of the provider alone: tokens are still good
	round()
	for _, token := range secrets {
		for _, wrong := range []string{token, "alice " + token, token + " " + hashed(alices), "alice " + hashed(alices) + " " + token, "alice sha256:" + token} {
			rewrite(t, path, wrong)
			clock.pass(time.Second)
			_, _ = tokens.Verify(t.Context(), token)
			if _, err := auth.OpenTokens(path, logTo(&j)); err != nil {
				out.WriteString(err.Error() + "\n")
			}
			if err := auth.AppendLine(path, "bob "+hashed(bobs)); err != nil {
				out.WriteString(err.Error() + "\n")
			}
		}
		_, _, err := auth.NewToken(token, false)
		if err != nil {
			out.WriteString(err.Error() + "\n")
		}
	}
	text := out.String() + j.String() + i.journal.String()
	require.Greater(t, len(text), 10_000)
	require.Positive(t, j.lines())
	for _, token := range secrets {
		require.NotContains(t, text, token)
		if parts := strings.Split(token, "."); len(parts) > 2 && len(parts[2]) > 20 {
			require.NotContains(t, text, parts[2][:20], "not even its signature")
		}
	}
}
