package callback_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

// documented is a receiver as docs/callbacks.md has it.
func documented(secret string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if hook, err := standardwebhooks.NewWebhook(secret); err != nil || hook.Verify(body, r.Header) != nil {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}
}

func TestTheReceiverOfTheDocsTakesWhatIsSigned(t *testing.T) {
	docs, err := os.ReadFile("../../docs/callbacks.md")
	require.NoError(t, err)
	code := regexp.MustCompile("(?s)```go\n(.*?)```").FindSubmatch(docs)
	require.NotNil(t, code)
	source, err := os.ReadFile("docs_test.go")
	require.NoError(t, err)
	indented := "\t\t" + strings.ReplaceAll(strings.TrimSuffix(string(code[1]), "\n"), "\n", "\n\t\t")
	require.True(t, bytes.Contains(source, []byte(indented)), "the code is not that of the docs:\n%s", indented)

	address, s := receiver(t, documented(fixed))
	require.True(t, s.Send(t.Context(), address, id, []byte(body)).Delivered)
	address, s = receiver(t, documented("whsec_"+strings.Repeat("A", 44)))
	require.Equal(t, "127.0.0.1 answered with HTTP 401", s.Send(t.Context(), address, id, []byte(body)).Error)
}
