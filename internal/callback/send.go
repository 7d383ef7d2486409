package callback

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"r2v-mcp/internal/egress"
	"r2v-mcp/internal/video"
)

const (
	// sendTimeout bounds one attempt over all.
	sendTimeout = 10 * time.Second
	// mostAnswer is how much of an answer is read, so that the connection may serve again. Nobody looks at it.
	mostAnswer = 64 << 10
)

// Send posts a message to a receiver, once, within 10 s. Any 2xx is a delivery; a redirect is not followed. Of what the receiver says
// nothing is kept but its status and Retry-After.
func (s *Sender) Send(ctx context.Context, address, id string, body []byte) video.Delivery {
	u, wrong := s.form(address)
	if wrong != "" {
		return video.Delivery{Error: wrong}
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	req, err := s.message(ctx, u, id, body)
	if err != nil {
		return video.Delivery{Error: "the message could not be made"}
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return video.Delivery{Error: explain(u, err)}
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, mostAnswer)) // the status has decided already
	if resp.StatusCode/100 == 2 {
		return video.Delivery{Delivered: true}
	}
	return video.Delivery{Gone: resp.StatusCode == http.StatusGone, Error: about(u.Hostname(), answered(resp.StatusCode)), NotBefore: notBefore(resp.Header)}
}

func (s *Sender) message(ctx context.Context, u *url.URL, id string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	signature, err := s.sign(id, now, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(standardwebhooks.HeaderWebhookID, id)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	if signature != "" {
		req.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	}
	return req, nil
}

// explain tells an error in a sentence with the host.
func explain(u *url.URL, err error) string {
	if errors.Is(err, egress.ErrLocation) {
		return about(u.Hostname(), redirects)
	}
	why, _ := egress.Dead(err)
	return why
}

const redirects = "redirects, which is not followed"

// answered is the rest of a sentence that begins with the host.
func answered(status int) string {
	if status/100 == 3 {
		return redirects
	}
	return fmt.Sprintf("answered with HTTP %d", status)
}

// notBefore reads Retry-After: seconds, or a date (https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3).
func notBefore(h http.Header) time.Time {
	text := h.Get("Retry-After")
	const most = 1 << 31 // seconds: more would not fit
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && seconds >= 0 {
		return time.Now().Add(time.Duration(min(seconds, most)) * time.Second)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return time.Time{}
	}
	return at
}
