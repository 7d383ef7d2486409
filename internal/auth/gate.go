package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	fetchTimeout  = 5 * time.Second  // of one answer of the provider; callers have little patience
	fetchEvery    = 10 * time.Second // at most so often an address of the provider is asked that answers
	longestPause  = 30 * time.Second // between tries of one that does not
	largestAnswer = 1 << 20          // bytes
	longestWords  = 200              // characters of an error of the library, which may quote a whole answer
)

// outage is the error of a provider that cannot be asked at present.
type outage struct{ error }

// gate is how the library reaches the provider: it remembers each answer for ten seconds, and each failure for a pause that grows, so
// that tokens with keys nobody knows, or with bad signatures, do not make the library ask each time.
type gate struct {
	client    *http.Client
	encrypted bool // whether nothing may be asked without TLS
	logger    *slog.Logger
	now       func() time.Time

	mu      sync.Mutex
	answers map[string]*answer // two: of the description and of the keys
	said    string             // what was logged last
	at      time.Time          // when
}

// answer is what an address of the provider has said.
type answer struct {
	body   []byte
	err    error
	until  time.Time // when it may be asked again
	pauses backoff.ExponentialBackOff
}

func newGate(client *http.Client, encrypted bool, logger *slog.Logger) *gate {
	return &gate{client: client, encrypted: encrypted, logger: logger, now: time.Now, answers: map[string]*answer{}}
}

// RoundTrip implements [http.RoundTripper]. The library and [OIDC] see to it that one request is under way at a time.
func (g *gate) RoundTrip(req *http.Request) (*http.Response, error) {
	a := g.answer(req.URL.String())
	g.mu.Lock()
	body, err, fresh := a.body, a.err, g.now().Before(a.until)
	g.mu.Unlock()
	if !fresh {
		body, err = g.fetch(req)
		g.remember(a, body, err)
	}
	if err != nil {
		return nil, err
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req, ContentLength: int64(len(body)),
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)),
	}, nil
}

func (g *gate) answer(address string) *answer {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.answers[address] == nil {
		g.answers[address] = &answer{pauses: backoff.ExponentialBackOff{
			InitialInterval: time.Second, Multiplier: 2, RandomizationFactor: 0.2, MaxInterval: longestPause,
		}}
	}
	return g.answers[address]
}

func (g *gate) remember(a *answer, body []byte, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a.body, a.err = body, err
	if err == nil {
		a.until = g.now().Add(fetchEvery)
		a.pauses.Reset()
		return
	}
	a.until = g.now().Add(a.pauses.NextBackOff())
}

// fetch asks the provider.
func (g *gate) fetch(req *http.Request) ([]byte, error) {
	if err := g.allowed(req); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(req.Context(), fetchTimeout)
	defer cancel()
	resp, err := g.client.Do(req.WithContext(ctx))
	if err != nil {
		return nil, g.told(err)
	}
	defer resp.Body.Close()
	if err := g.allowed(resp.Request); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, g.told(fmt.Errorf("%s answers %d", req.URL.Redacted(), resp.StatusCode))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, largestAnswer+1))
	if err == nil && len(body) > largestAnswer {
		err = errors.New("its answer has more than a megabyte")
	}
	if err != nil {
		return nil, g.told(err)
	}
	return body, nil
}

// allowed refuses what could be changed on its way, where the provider itself could not.
func (g *gate) allowed(req *http.Request) error {
	if g.encrypted && req.URL.Scheme != "https" {
		return g.told(errors.New("it leads on to an address that is not https"))
	}
	return nil
}

// told is an outage in words that are short and can be shown.
func (g *gate) told(err error) error {
	if failed, ok := errors.AsType[*outage](err); ok {
		return failed
	}
	words := strings.Map(func(r rune) rune {
		if unprintable(r) {
			return ' '
		}
		return r
	}, err.Error())
	if runes := []rune(words); len(runes) > longestWords {
		words = string(runes[:longestWords]) + "…"
	}
	return &outage{errors.New("the OpenID provider cannot be asked at present: " + words)}
}

// report returns an outage, and logs it for whoever runs the server: not again for the same within half a minute.
func (g *gate) report(err error) error {
	err = g.told(err)
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := g.now(); g.said != err.Error() || now.Sub(g.at) >= longestPause {
		g.said, g.at = err.Error(), now
		g.logger.Warn("tokens cannot be checked", "err", err)
	}
	return err
}
