// Package trace passes the trace context of a call through: from the caller's headers or `_meta` to the log and to the requests
// that the call causes. It makes no spans and no ids of its own.
package trace

import (
	"context"
	"net/http"
	"strings"
)

// The names of the two parts of a trace context, as headers and as keys of `_meta`.
// Sources: https://www.w3.org/TR/trace-context/ and, for `_meta`, https://modelcontextprotocol.io/seps/414.
const (
	parentName = "traceparent"
	stateName  = "tracestate"
)

// Context is the place of a call in its caller's trace. The zero Context is no trace.
type Context struct {
	parent string // of version 00, checked
	state  string // checked; empty for none
}

// TraceID returns the id of the trace, 32 hexadecimal digits, empty where there is none.
func (c Context) TraceID() string { return c.part(traceAt, spanAt-1) }

// SpanID returns the id of the caller's span, 16 hexadecimal digits, empty where there is none.
func (c Context) SpanID() string { return c.part(spanAt, flagsAt-1) }

func (c Context) part(from, to int) string {
	if c.parent == "" {
		return ""
	}
	return c.parent[from:to]
}

type contextKey struct{}

// With returns a context whose calls belong to a trace. The zero Context changes nothing.
func With(ctx context.Context, c Context) context.Context {
	if c == (Context{}) {
		return ctx
	}
	return context.WithValue(ctx, contextKey{}, c)
}

// From returns the trace that a context belongs to, the zero Context where there is none.
func From(ctx context.Context) Context {
	c, _ := ctx.Value(contextKey{}).(Context)
	return c
}

// Middleware puts the trace of a request's headers into its context. Headers that are wrong in any way count as none.
func Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Two parents are no parent; two states are the two halves of one.
		if parents := r.Header.Values(parentName); len(parents) == 1 {
			if c, ok := Parse(parents[0], strings.Join(r.Header.Values(stateName), ",")); ok {
				r = r.WithContext(With(r.Context(), c))
			}
		}
		next.ServeHTTP(w, r)
	})
}

// WithMeta returns a context in the trace that a call's `_meta` names. It goes before that of the headers: `_meta` is of this very
// call and comes from who makes it, headers are of the connection, and of whatever stands in between. A state belongs to its parent: where
// `_meta` names a parent, the headers' state is no longer of interest. A `_meta` that is wrong leaves the context as it was.
func WithMeta(ctx context.Context, meta map[string]any) context.Context {
	parent, _ := meta[parentName].(string)
	if parent == "" {
		return ctx
	}
	state, _ := meta[stateName].(string)
	c, _ := Parse(parent, state)
	return With(ctx, c)
}

// Add adds the trace of ctx to the headers of a request, and nothing where there is none. The caller's span stays the parent:
// an id made here would be of a span that nobody ever reports, and would part the provider's span from the caller's.
// Source: https://www.w3.org/TR/trace-context/#mutating-the-traceparent-field, which leaves a part of the way that takes no
// part in tracing to forward both headers as they are.
func Add(ctx context.Context, h http.Header) {
	c := From(ctx)
	if c == (Context{}) {
		return
	}
	h.Set(parentName, c.parent)
	if c.state != "" {
		h.Set(stateName, c.state)
	}
}
