package auth

import (
	"context"
	"errors"
)

// ErrUnknown is the error of a token that opens nothing: no file has it, no provider has made it for this server, or its time is
// over. Errors that wrap it may say why; none repeats the token.
var ErrUnknown = errors.New("the token is not known here, or is no longer good")

// Verifier knows whose a token is.
type Verifier interface {
	// Verify returns the person of a token. It returns an error that is [ErrUnknown] for a token that opens nothing, and any
	// other where it cannot be told at present.
	Verify(ctx context.Context, token string) (Person, error)
}

// Any returns a verifier that asks others in turn until one knows the token. When none does, and one of them could not tell, the
// error is that one's: the token may be good.
func Any(verifiers ...Verifier) Verifier { return several(verifiers) }

type several []Verifier

// Verify implements [Verifier].
func (s several) Verify(ctx context.Context, token string) (Person, error) {
	unknown, outage := ErrUnknown, error(nil)
	for _, v := range s {
		p, err := v.Verify(ctx, token)
		switch {
		case err == nil:
			return p, nil
		case errors.Is(err, ErrUnknown):
			unknown = err
		default:
			outage = err
		}
	}
	if outage != nil {
		return Person{}, outage
	}
	return Person{}, unknown
}
