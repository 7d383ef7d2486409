package auth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/auth"
)

// passed returns the context with which a request goes on.
func passed(t *testing.T, v auth.Verifier, path, token string) context.Context {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	var ctx context.Context
	auth.Require(v, nil)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx = r.Context()
	})).ServeHTTP(httptest.NewRecorder(), r)
	require.NotNil(t, ctx, "it did not go on")
	return ctx
}

func holds(t *testing.T, ctx context.Context) bool { //nolint:revive // t comes first in tests
	t.Helper()
	good, err := auth.Holds(ctx)
	require.NoError(t, err)
	return good
}

func TestWhereNobodyWasAskedForATokenItHolds(t *testing.T) {
	t.Parallel()
	require.True(t, holds(t, t.Context()))
	require.True(t, holds(t, auth.With(t.Context(), auth.Person{Name: "alice"})))
}

func TestATokenHoldsUntilItIsWithdrawnOrAnothers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		line string
		want bool
	}{
		"as it was":       {"alice " + hashed(alices), true},
		"withdrawn":       {"bob " + hashed(bobs), false},
		"struck out":      {"alice REVOKED", false},
		"another person":  {"bob " + hashed(alices), false},
		"a reader's":      {"alice " + hashed(alices) + " metrics", false},
		"another of hers": {"alice " + hashed(alices2), false},
		"nobody left":     {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := fileOf(t, "alice "+hashed(alices))
			tokens, clock, _ := open(t, path)
			ctx := passed(t, auth.Any(tokens), "/mcp", alices)
			for range 3 {
				clock.pass(time.Minute)
				require.True(t, holds(t, ctx))
			}
			rewrite(t, path, tt.line)
			clock.pass(time.Second)
			require.Equal(t, tt.want, holds(t, ctx))
			below, cancel := context.WithCancel(auth.With(ctx, auth.Person{}))
			defer cancel()
			require.Equal(t, tt.want, holds(t, below), "what comes of the context asks about the same token")
		})
	}
}

func TestAReadersTokenHoldsToo(t *testing.T) {
	t.Parallel()
	tokens, _, _ := open(t, fileOf(t, "prometheus "+hashed(scrapes)+" metrics"))
	require.True(t, holds(t, passed(t, tokens, "/metrics", scrapes)))
}

func TestAProvidersTokenHoldsUntilItsEnd(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	ctx := passed(t, i.people(t), "/mcp", i.token())
	require.True(t, holds(t, ctx))
	i.clock.pass(24 * time.Hour)
	require.False(t, holds(t, ctx))
}

// outOfOrder is a verifier that cannot tell from some time on.
type outOfOrder struct{ atomic.Bool }

var errOutage = errors.New("out of reach")

func (o *outOfOrder) Verify(ctx context.Context, _ string) (auth.Person, error) {
	if o.Load() {
		return auth.Person{}, errOutage
	}
	return auth.Person{Name: "alice"}, ctx.Err()
}

func TestWhetherATokenHoldsMayNotBeToldAtPresent(t *testing.T) {
	t.Parallel()
	v := &outOfOrder{}
	ctx := passed(t, v, "/mcp", alices)
	require.True(t, holds(t, ctx))

	ended, cancel := context.WithCancel(ctx)
	cancel()
	good, err := auth.Holds(ended)
	require.ErrorIs(t, err, context.Canceled, "it asks in the context that it is given")
	require.False(t, good)

	v.Store(true)
	good, err = auth.Holds(ctx)
	require.ErrorIs(t, err, errOutage)
	require.False(t, good)
	v.Store(false)
	require.True(t, holds(t, ctx))
}

// values keeps what a context is asked for.
type values struct {
	context.Context
	found []any
}

func (v *values) Value(key any) any {
	value := v.Context.Value(key)
	if value != nil {
		v.found = append(v.found, value)
	}
	return value
}

func TestNothingThatIsPrintedOfAContextShowsTheToken(t *testing.T) {
	t.Parallel()
	tokens, _, _ := open(t, fileOf(t, "alice "+hashed(alices)))
	ctx := &values{Context: passed(t, tokens, "/mcp", alices)}
	require.True(t, holds(t, ctx))
	require.Len(t, ctx.found, 1)
	value := ctx.found[0]
	var text bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		require.Empty(t, fmt.Sprintf(verb, value), verb)
		fmt.Fprintf(&text, verb+" "+verb, ctx, struct{ inside any }{value})
	}
	slog.New(slog.NewTextHandler(&text, nil)).Info("text", "value", value, "ctx", ctx)
	slog.New(slog.NewJSONHandler(&text, nil)).Info("json", "value", value, "ctx", ctx)
	_, err := json.Marshal(value)
	require.Error(t, err)
	for _, hidden := range []string{alices, fmt.Sprintf("%x", alices), hashed(alices)[7:]} {
		require.NotContains(t, text.String()+err.Error(), hidden)
	}
}
