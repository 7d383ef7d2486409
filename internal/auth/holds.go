package auth

import (
	"context"
	"errors"
	"fmt"
)

type questionKey struct{}

// question asks again about the token of a request. A function shows nothing of what it has taken along, however a context is
// printed.
type question func(context.Context) (bool, error)

// Format implements [fmt.Formatter]. It prints nothing.
func (question) Format(fmt.State, rune) {}

// Holds asks again about the token with which [Require] let a request through: whether it still opens this server, and for the
// same person. It is for what outlives the look at the request, as streams do, and may be given any context that comes of the request's;
// the question itself is asked, and ends, with ctx. It tells nobody the token.
//
// It returns true where nobody was asked for a token, false when the token is not good any more or is another person's now, and
// an error when it cannot be told at present, which says nothing about the token: the provider cannot be reached, or ctx has ended.
func Holds(ctx context.Context) (bool, error) {
	ask, ok := ctx.Value(questionKey{}).(question)
	if !ok {
		return true, nil
	}
	return ask(ctx)
}

// withQuestion returns a context in which [Holds] asks about a token.
func withQuestion(ctx context.Context, v Verifier, p Person, token string) context.Context {
	return context.WithValue(ctx, questionKey{}, question(func(ctx context.Context) (bool, error) {
		now, err := v.Verify(ctx, token)
		if errors.Is(err, ErrUnknown) {
			return false, nil
		}
		return err == nil && now == p, err
	}))
}
