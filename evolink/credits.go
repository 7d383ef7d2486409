package evolink

import (
	"context"
	"encoding/json"
	"net/http"
)

const opCredits = "get credits"

// Credits is what is left to be spent. Either part can stop a create.
type Credits struct {
	Account   CreditLine // of the account
	Key       CreditLine // what this key may spend of it
	RequestID string
}

// CreditLine is one budget, in credits with the digits as sent; "" when the answer lacks them.
type CreditLine struct {
	Remaining json.Number
	Used      json.Number
	Unlimited bool // the key has no limit of its own
}

// Credits returns the credits of the account and of the key. Every error is an [*Error].
//
// Source: https://docs.evolink.ai/en/api-manual/account-management/get-credits.
func (c *Client) Credits(ctx context.Context) (*Credits, error) {
	a, failure := c.do(ctx, &c.lists, call{op: opCredits, method: http.MethodGet, path: "/v1/credits"})
	if failure != nil {
		return nil, failure
	}
	return c.credited(a)
}

func (c *Client) credited(a *answer) (*Credits, error) {
	if a.object.isFalse("success") {
		return nil, c.declined(opCredits, a)
	}
	data := a.object.object("data")
	line := func(key string) CreditLine {
		o := data.object(key)
		return CreditLine{Remaining: o.number("remaining_credits"), Used: o.number("used_credits"), Unlimited: o.isTrue("unlimited_credits")}
	}
	credits := &Credits{Account: line("user"), Key: line("token"), RequestID: c.quote(a.requestID(), maxCode)}
	if credits.Account == (CreditLine{}) && credits.Key == (CreditLine{}) {
		return nil, c.malformed(opCredits, a, "the answer has no credits")
	}
	return credits, nil
}
