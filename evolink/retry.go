package evolink

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// maxRetryAfter bounds the wait that an answer may ask for. EvoLink's own client has the same bound.
	maxRetryAfter = 30 * time.Second
	// maxDials is how often a connection is asked for: a host that does not answer four times in a few seconds is better
	// told to whoever waits.
	maxDials = 4
)

// retryRule says which failures are tried again, how often, and for how long.
type retryRule struct {
	again func(*Error) bool
	tries uint
	total time.Duration // no attempt begins later than this after the first
}

// retryUnspent is for requests that must not be carried out twice: it repeats what never left or was throttled. One wait
// of maxRetryAfter fits in, and no answer comes so late that callers have given up.
func retryUnspent() retryRule {
	return retryRule{again: (*Error).unspent, tries: 8, total: 40 * time.Second}
}

// retryUnconnected is for reads of tasks: whatever may have reached the service has used up the task's turn.
func retryUnconnected() retryRule {
	return retryRule{again: (*Error).unconnected, tries: maxDials, total: 40 * time.Second}
}

// retryReads is for requests that change nothing and cost the service little.
func retryReads() retryRule {
	return retryRule{again: (*Error).passing, tries: 4, total: 2 * time.Minute}
}

// run calls attempt until it succeeds or the rule or ctx ends it, and returns the last failure. It does not wait where ctx
// would end first.
func (r retryRule) run(ctx context.Context, attempt func() *Error) *Error {
	var last *Error
	dials := 0
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		last = attempt()
		if last != nil && last.failure == noConnection {
			dials++
		}
		switch {
		case last == nil:
			return struct{}{}, nil
		case !r.again(last) || dials == maxDials:
			return struct{}{}, backoff.Permanent(last)
		case last.retryAfter > 0:
			return struct{}{}, &backoff.RetryAfterError{Duration: last.retryAfter}
		}
		return struct{}{}, last
	},
		backoff.WithBackOff(&backoff.ExponentialBackOff{
			InitialInterval:     500 * time.Millisecond,
			RandomizationFactor: 0.5,
			Multiplier:          2,
			MaxInterval:         8 * time.Second,
		}),
		backoff.WithMaxTries(r.tries),
		backoff.WithMaxElapsedTime(r.within(ctx)),
	)
	if cause := context.Cause(ctx); last != nil && cause != nil && errors.Is(err, cause) {
		last.also(cause)
	}
	return last
}

func (r retryRule) within(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return r.total
	}
	return max(1, min(r.total, time.Until(deadline))) // 0 would mean no bound
}

// parseRetryAfter reads the header in either of its forms; 0 means absent or of no use.
func parseRetryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	var wait time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = time.Until(at)
	}
	return max(0, min(wait, maxRetryAfter))
}
