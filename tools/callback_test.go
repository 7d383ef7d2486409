package tools_test

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/callback"
	"r2v-mcp/internal/egress"
	"r2v-mcp/internal/egress/egresstest"
	"r2v-mcp/internal/video"
	"r2v-mcp/tools"
)

// These tests wait more than they work, as those of the program do.
func TestMain(m *testing.M) {
	// Of any other kind an httptest.Server that is closed closes the connections of all tests.
	http.DefaultTransport = struct{ http.RoundTripper }{http.DefaultTransport}
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		f.Value.Set(strconv.Itoa(max(8, runtime.GOMAXPROCS(0))))
	}
	os.Exit(egresstest.Trusting(m))
}

// receiver is a real one, with TLS, that keeps what it is told.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	told   []message
	heads  int
	answer func(n int) int // the status of the nth message
	more   chan struct{}   // something was told
}

type message struct {
	header http.Header
	body   string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{answer: func(int) int { return http.StatusNoContent }, more: make(chan struct{}, 100)}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if req.Method == http.MethodHead {
			r.heads++
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		body, _ := io.ReadAll(req.Body)
		r.told = append(r.told, message{req.Header, string(body)})
		w.WriteHeader(r.answer(len(r.told)))
		r.more <- struct{}{}
	}))
	r.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(r.Close)
	return r
}

// wait waits for a message.
func (r *receiver) wait(t *testing.T) message {
	t.Helper()
	select {
	case <-r.more:
	case <-time.After(20 * time.Second):
		require.FailNow(t, "nobody was told")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.told[len(r.told)-1]
}

const secret = "whsec_cjJ2LXRlc3Qta2V5LTAxMjM0NTY3ODlhYmNkZWZnaGk="

// sender calls receivers that the operator has opened.
func sender(t *testing.T, o callback.Options, open ...string) *callback.Sender {
	t.Helper()
	o.Egress.Allow = append(o.Egress.Allow, open...)
	var err error
	o.Secrets, err = callback.ParseSecrets(secret)
	require.NoError(t, err)
	s, err := callback.New(o)
	require.NoError(t, err)
	return s
}

func TestWhoAsksForItIsToldOfTheEnd(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.answer = func(n int) int { return map[bool]int{true: 500, false: 204}[n == 1] }
	w := newWorld(t, options{callbacks: sender(t, callback.Options{}, r.Listener.Addr().String())})
	address := r.URL + "/hook?token=canary"
	require.Empty(t, w.answer("estimate_cost", wan27(arguments{"callback_url": address}))["problems"])
	made := w.answer("generate_r2v", wan27(arguments{"callback_url": address, "idempotency_key": "k"}))
	require.Equal(t, 1, r.heads, "the estimate and the purchase ask once")
	first := r.wait(t)
	second := r.wait(t)
	verifier, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	for _, m := range []message{first, second} {
		require.NoError(t, verifier.Verify([]byte(m.body), m.header))
		require.Equal(t, first.header.Get("webhook-id"), m.header.Get("webhook-id"))
	}
	task := w.answer("get_task", arguments{"task_id": made["task_id"], "wait_seconds": 5})
	for range 100 { // the receiver has its answer before we have written it down
		if path(task, "callback", "state") == "delivered" {
			break
		}
		task = w.answer("get_task", arguments{"task_id": made["task_id"], "wait_seconds": 0})
	}
	shown, err := json.Marshal(task["callback"])
	require.NoError(t, err)
	require.NotContains(t, string(shown), "canary")
	require.Equal(t, "127.0.0.1", path(task, "callback", "host"))
	require.Equal(t, "delivered", path(task, "callback", "state"))
	require.Equal(t, json.Number("2"), path(task, "callback", "attempts"))
	require.Nil(t, path(task, "callback", "error"))
	require.NotEmpty(t, path(task, "callback", "delivered_at"))
	delete(task, "callback")
	require.Equal(t, task, decode(t, second.body), "it says what get_task does")

	again := w.answer("generate_r2v", wan27(arguments{"callback_url": "https://127.0.0.1:" + port(t, r) + "/other", "idempotency_key": "k"}))
	require.Equal(t, made["task_id"], again["task_id"], "who is told is no part of what is bought")
	require.Contains(t, again["warnings"], "callback_url: the task keeps the one that it was bought with, at 127.0.0.1")
	again = w.answer("generate_r2v", wan27(arguments{"callback_url": address, "idempotency_key": "k"}))
	require.NotContains(t, again["warnings"], "callback_url")
	require.Equal(t, 1, w.created())
}

func port(t *testing.T, r *receiver) string {
	t.Helper()
	_, port, err := net.SplitHostPort(r.Listener.Addr().String())
	require.NoError(t, err)
	return port
}

func TestATaskShowsHowItsCallbackStands(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.answer = func(int) int { return http.StatusGone }
	w := newWorld(t, options{callbacks: sender(t, callback.Options{}, r.Listener.Addr().String()), speed: 300})
	made := w.answer("generate_r2v", wan27(arguments{"callback_url": r.URL}))
	task := w.answer("get_task", arguments{"task_id": made["task_id"], "wait_seconds": 0})
	require.Equal(t, map[string]any{"host": "127.0.0.1", "state": "waiting"}, task["callback"])
	r.wait(t)
	for range 100 {
		task = w.answer("get_task", arguments{"task_id": made["task_id"], "wait_seconds": 1})
		if path(task, "callback", "state") == "given_up" {
			break
		}
	}
	require.Equal(t, "given_up", path(task, "callback", "state"))
	require.Equal(t, "127.0.0.1 answered with HTTP 410", path(task, "callback", "error"))
	require.Equal(t, "SUCCEEDED", task["status"])
	require.Nil(t, w.answer("get_task", arguments{"task_id": w.answer("generate_r2v", wan27(arguments{"seed": 7}))["task_id"], "wait_seconds": 0})["callback"])
}

// A call whose answer was lost is sent again as it was, and by then its receiver leads elsewhere or the operator has switched callbacks off.
func TestARepeatedCallIsAnsweredThoughItsReceiverIsRefusedNow(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]any{"with a key": "k", "without a key": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "ledger.db")
			on := func(dns map[string][][]string) *world {
				o := callback.Options{Egress: egress.Settings{Resolver: egresstest.Resolver(dns)}}
				return newWorld(t, options{ledgerPath: path, speed: slow, callbacks: sender(t, o, "127.0.0.3/32")})
			}
			request := arguments{"callback_url": "https://hooks.example/"}
			if key != nil {
				request["idempotency_key"] = key
			}
			made := on(map[string][][]string{"hooks.example": {{"127.0.0.3"}}}).answer("generate_r2v", wan27(request))
			for why, w := range map[string]*world{
				"hooks.example is a name that does not exist":             on(nil),
				"the operator has switched callbacks off (R2V_CALLBACKS)": newWorld(t, options{ledgerPath: path, speed: slow}),
			} {
				again := w.answer("generate_r2v", wan27(request))
				require.Equal(t, made["task_id"], again["task_id"])
				require.Equal(t, true, again["replayed"])
				require.Contains(t, again["warnings"], "now it would be refused: callback_url: "+why)
				require.Zero(t, w.created())
				other := wan27(request)
				other["prompt"] = "another"
				delete(other, "idempotency_key")
				require.Contains(t, w.refusal("generate_r2v", other), "charged: no", "which was not bought before")
			}
		})
	}
}

func TestCallbacksThatAreOffAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	text := w.refusal("generate_r2v", wan27(arguments{"callback_url": "https://hooks.example/canary"}))
	require.Contains(t, text, "callback_url: the operator has switched callbacks off (R2V_CALLBACKS); allowed: no callback_url: wait with get_task")
	require.Contains(t, text, "charged: no")
	require.NotContains(t, text, "canary")
	problems := w.answer("estimate_cost", wan27(arguments{"callback_url": "https://hooks.example/"}))["problems"]
	require.Contains(t, path(problems.([]any)[0], "problem"), "switched callbacks off")
	require.Empty(t, w.answer("estimate_cost", wan27(arguments{"callback_url": " "}))["problems"])
}

func TestCallbacksGoToTheHostsThatTheOperatorAllows(t *testing.T) {
	t.Parallel()
	hosts, err := callback.ParseHosts("hooks.example,.example.org")
	require.NoError(t, err)
	dns := egresstest.Resolver(map[string][][]string{"hooks.example": {{"127.0.0.3"}}, "a.example.org": {{"127.0.0.3"}}, "evil.example": {{"127.0.0.3"}}})
	w := newWorld(t, options{callbacks: sender(t, callback.Options{Hosts: hosts, Egress: egress.Settings{Resolver: dns}}, "127.0.0.3/32")})
	for _, address := range []string{"https://evil.example/", "https://example.org/", "https://hooks.example.evil.example/", "https://127.0.0.3/"} {
		text := w.refusal("generate_r2v", wan27(arguments{"callback_url": address}))
		require.Contains(t, text, "is not one of the hosts that the operator allows (R2V_CALLBACKS)")
		require.Contains(t, text, ", on hooks.example or .example.org")
	}
	for _, address := range []string{"https://hooks.example:1/", "https://a.example.org:1/"} {
		e := w.answer("estimate_cost", wan27(arguments{"callback_url": address}))
		require.Empty(t, e["problems"])
		require.Contains(t, strings.Join(texts(e["warnings"]), "\n"), "the callback is tried for 24 hours all the same", "nobody listens there now")
	}
}

func texts(list any) (out []string) {
	for _, text := range list.([]any) {
		out = append(out, text.(string))
	}
	return out
}

func TestAnothersTaskShowsNoCallback(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	all := people(t, options{speed: slow, callbacks: sender(t, callback.Options{}, r.Listener.Addr().String())}, "", "anna", "bob")
	made := all[0].answer("generate_r2v", wan27(arguments{"callback_url": r.URL + "/canary"}))
	require.NotNil(t, all[0].answer("get_task", arguments{"task_id": made["task_id"], "wait_seconds": 0})["callback"])
	all[1].unknown(made["task_id"].(string))
}

// hostile are addresses that must be refused, each with a part of the reason.
func hostile(redirecting string) map[string]string {
	const public = "only public addresses are reached"
	rows := map[string]string{
		"http://hooks.example/": "does not begin with https://", "HTTP://hooks.example/": "does not begin with https://", "ftp://hooks.example/": "does not begin with https://",
		"javascript:alert(1)": "does not begin with https://", "file:///etc/passwd": "does not begin with https://", "//hooks.example/": "does not begin with https://",
		"hooks.example/canary": "does not begin with https://", "https:hooks.example": "has no host", "https:///canary": "has no host", "https://": "has no host",
		"https://user:canary@hooks.example/": "holds credentials", "https://canary@hooks.example/": "holds credentials", "https://@hooks.example/": "holds credentials",
		"https://hooks.example@127.0.0.1/": "holds credentials", "https://hooks.example/#canary": "holds a fragment", "https://hooks.example/#": "holds a fragment",
		"https://hooks.example/" + strings.Repeat("a", 2048): "it has 2070 characters", "https://hooks.example:0/": "at a port", "https://hooks.example:99999/": "at a port",
		"https://hooks.example:x/": "cannot be read", "https://hooks.example\\@evil.example/": "", "https://hooks.ex\tample/": "cannot be read", "https://[::1": "cannot be read",
		"https://127.0.0.1/": public, "https://127.1/": "four plain numbers", "https://2130706433/": "four plain numbers", "https://0x7f000001/": "four plain numbers",
		"https://0177.0.0.1/": "four plain numbers", "https://127.0.0.1./": "four plain numbers", "https://１２７.0.0.1/": "", "https://127。0。0。1/": "", "https://ⓛocalhost/": "",
		"https://localhost/": "private network", "https://localhost./": "private network", "https://LOCALHOST/": "private network", "https://hooks.localhost/": "private network",
		"https://[::1]/": public, "https://[::]/": public, "https://[::ffff:127.0.0.1]/": public, "https://[::ffff:a00:1]/": public, "https://[64:ff9b::7f00:1]/": public,
		"https://[fe80::1%25eth0]/": "escape or a zone", "https://[fd00::1]/": public, "https://[2002:7f00:1::]/": public, "https://0.0.0.0/": public, "https://0/": "four plain numbers",
		"https://10.0.0.1/canary?canary": public, "https://172.16.0.1/": public, "https://192.168.1.1:8443/": public, "https://169.254.169.254/latest/meta-data": public,
		"https://100.64.0.1/": public, "https://100.100.100.200/": public, "https://168.63.129.16/": public, "https://192.0.2.1/": public, "https://198.18.0.1/": public,
		"https://224.0.0.1/": public, "https://255.255.255.255/": public, "https://metadata.google.internal/": "private network", "https://printer.local/": "private network",
		"https://intranet/": "private network", "https://router.home.arpa/": "private network", "https://inside.example/": public, "https://inside6.example/": public,
		"https://mixed.example/": public, "https://mixed6.example/": public, "https://turning.example:1/": public, "https://nobody.example/": "does not exist",
		"https://münchen.example/": "xn-- form", "https://hooks..example/": "empty part", "https://a b.example/": "cannot be read",
	}
	for _, status := range []string{"301", "302", "303", "307", "308", "302-out", "302-broken", "300"} {
		rows[redirecting+"/canary/"+status] = "redirects, which is not followed"
	}
	return rows
}

func TestHostileCallbacksAreRefusedBeforeAnythingIsBought(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	leads := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		status := map[string]int{"301": 301, "302": 302, "303": 303, "307": 307, "308": 308, "300": 300}[strings.TrimPrefix(r.URL.Path, "/canary/")]
		switch {
		case strings.HasSuffix(r.URL.Path, "-out"):
			w.Header().Set("Location", "https://169.254.169.254/latest")
		case strings.HasSuffix(r.URL.Path, "-broken"):
			w.Header().Set("Location", "https://[::1")
		default:
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(max(status, 302*map[bool]int{true: 1}[status == 0]))
	}))
	defer leads.Close()
	dns := egresstest.Resolver(map[string][][]string{
		"hooks.example": {{"127.0.0.3"}}, "inside.example": {{"127.0.0.1"}}, "inside6.example": {{"fd00::1"}}, "mixed.example": {{"127.0.0.3", "10.1.2.3"}},
		"mixed6.example": {{"127.0.0.3", "::1"}}, "turning.example": {{"127.0.0.3"}, {"127.0.0.1"}},
	})
	// 127.0.0.3 stands for the public internet.
	s := sender(t, callback.Options{Egress: egress.Settings{Resolver: dns}}, "127.0.0.3/32", leads.Listener.Addr().String())
	w := newWorld(t, options{callbacks: s})
	rows := hostile(leads.URL)
	require.GreaterOrEqual(t, len(rows), 40)
	for address, why := range rows {
		text := w.refusal("generate_r2v", wan27(arguments{"callback_url": address, "idempotency_key": "k"}))
		require.Contains(t, text, "\n- callback_url: ", address)
		require.Contains(t, text, why, address)
		require.Contains(t, text, "charged: no", address)
		require.NotContains(t, text, "canary", address)
		problems := w.answer("estimate_cost", wan27(arguments{"callback_url": address}))["problems"].([]any)
		require.Len(t, problems, 1, address)
	}
	t.Logf("%d hostile addresses", len(rows))
	require.EqualValues(t, 8, reached.Load(), "each that leads on was asked once, and where they lead nobody")
	require.Zero(t, w.created())
	require.Empty(t, listed(w.answer("list_tasks", nil)))
}

// The name leads where it may while it is checked, and inside when it is called.
func TestAReceiverThatTurnsInwardsIsNotCalled(t *testing.T) {
	t.Parallel()
	var visits atomic.Int32
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			visits.Add(1)
			conn.Close()
		}
	}()
	_, at, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	dns := egresstest.Resolver(map[string][][]string{"turning.example": {{"127.0.0.3"}, {"127.0.0.3"}, {"127.0.0.1"}}})
	w := newWorld(t, options{callbacks: sender(t, callback.Options{Egress: egress.Settings{Resolver: dns}}, "127.0.0.3/32")})
	made := w.answer("generate_r2v", wan27(arguments{"callback_url": "https://turning.example:" + at + "/"}))
	var task map[string]any
	for range 100 {
		task = w.answer("get_task", arguments{"task_id": made["task_id"], "wait_seconds": 1})
		if path(task, "callback", "error") != nil {
			break
		}
	}
	require.Equal(t, "turning.example leads to a loopback address: only public addresses are reached", path(task, "callback", "error"))
	require.Equal(t, "retrying", path(task, "callback", "state"))
	require.Zero(t, visits.Load())
	require.Equal(t, "SUCCEEDED", task["status"])
	require.NotEmpty(t, task["saved_to"])
}

func TestAMessageToPeopleElsewhereNamesNoPlaceOfThisMachine(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	made := w.answer("generate_r2v", wan27(nil))
	id := made["task_id"].(string)
	w.answer("get_task", arguments{"task_id": id, "wait_seconds": 20})
	task, err := w.book.Task(context.Background(), id)
	require.NoError(t, err)
	require.NotEmpty(t, task.SavedTo)
	catalogue, err := video.BuiltIn()
	require.NoError(t, err)
	for hide, want := range map[bool]bool{true: false, false: true} {
		body, err := (&tools.Set{Catalogue: catalogue, Region: "simulator", HidePaths: hide, Saves: true}).CallbackBody(context.Background(), task)
		require.NoError(t, err)
		require.Equal(t, want, strings.Contains(string(body), w.saveDir))
		require.Contains(t, string(body), id)
	}
}
