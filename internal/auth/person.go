// Package auth tells who is asking: it checks bearer tokens, those of a file and those of an OpenID provider, and carries the
// person in the context of a call.
package auth

import "context"

// Person is who makes a call. The zero Person is whoever uses a server that only its own machine reaches: one without tokens.
type Person struct {
	Name   string // a token's name, or subject@issuer; tasks, budgets and idempotency keys belong to it
	Reader bool   // reads /metrics and may call nothing else
}

type personKey struct{}

// With returns a context in which a person asks.
func With(ctx context.Context, p Person) context.Context {
	return context.WithValue(ctx, personKey{}, p)
}

// From returns who asks, the zero Person where nobody was asked for a token.
func From(ctx context.Context) Person {
	p, _ := ctx.Value(personKey{}).(Person)
	return p
}
