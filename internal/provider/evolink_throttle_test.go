package provider_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/evolink"
	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/video"
)

// throttling tells everybody to come again in 29 s.
type throttling struct{}

func (throttling) RoundTrip(r *http.Request) (*http.Response, error) {
	const body = `{"error":{"code":"rate_limit_exceeded","message":"Slow down.","type":"rate_limit_error"}}`
	return &http.Response{
		StatusCode: http.StatusTooManyRequests, Request: r, Header: http.Header{"Content-Type": {"application/json"}, "Retry-After": {"29"}},
		Body: io.NopCloser(strings.NewReader(body)),
	}, nil
}

func TestAThrottledReadSaysHowLongTheRelayWantsToBeLeftAlone(t *testing.T) {
	client, err := evolink.New(evolink.Config{BaseURL: "http://127.0.0.1", APIKey: "sk-test-key", HTTPClient: &http.Client{Transport: throttling{}}})
	require.NoError(t, err)
	_, err = provider.NewEvoLink(client, &video.Catalogue{}).Look(t.Context(), "task-unified-0")
	failure := new(video.Error)
	require.ErrorAs(t, err, &failure)
	require.Equal(t, 29*time.Second, failure.RetryAfter)
	require.True(t, failure.Retryable)
}
