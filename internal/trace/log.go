package trace

import (
	"context"
	"log/slog"
	"slices"
)

// logger adds what a context says to the lines that are logged with it.
type logger struct {
	slog.Handler // all that was asked for, groups included

	person func(context.Context) string
	top    slog.Handler                      // as it was before the first group: where the additions belong
	since  []func(slog.Handler) slog.Handler // what was asked for from the first group on
}

// Handler wraps a handler: lines whose context belongs to a trace get trace_id and span_id, and those whose context has a person
// get person, at the top level whatever groups are open. A nil person names nobody.
func Handler(next slog.Handler, person func(context.Context) string) slog.Handler {
	if person == nil {
		person = func(context.Context) string { return "" }
	}
	return &logger{Handler: next, person: person, top: next}
}

// Handle adds and passes on.
func (l *logger) Handle(ctx context.Context, r slog.Record) error {
	var more []slog.Attr
	if name := l.person(ctx); name != "" {
		more = append(more, slog.String("person", name))
	}
	if c := From(ctx); c != (Context{}) {
		more = append(more, slog.String("trace_id", c.TraceID()), slog.String("span_id", c.SpanID()))
	}
	switch {
	case len(more) == 0:
		return l.Handler.Handle(ctx, r)
	case len(l.since) == 0:
		r = r.Clone() // its attributes may be shared with other handlers
		r.AddAttrs(more...)
		return l.Handler.Handle(ctx, r)
	}
	h := l.top.WithAttrs(more)
	for _, step := range l.since {
		h = step(h)
	}
	return h.Handle(ctx, r)
}

// WithAttrs returns a handler whose lines have more.
func (l *logger) WithAttrs(attrs []slog.Attr) slog.Handler {
	return l.with(len(l.since) > 0, func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

// WithGroup returns a handler that puts what follows into a group.
func (l *logger) WithGroup(name string) slog.Handler {
	if name == "" {
		return l
	}
	return l.with(true, func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (l *logger) with(grouped bool, step func(slog.Handler) slog.Handler) slog.Handler {
	out := &logger{Handler: step(l.Handler), person: l.person, top: l.top, since: l.since}
	if grouped {
		out.since = append(slices.Clip(l.since), step) // clipped: the handlers made of one do not share what they add
	} else {
		out.top = out.Handler
	}
	return out
}
