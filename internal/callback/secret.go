package callback

import (
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Secrets are as long as the specification wants them, in bytes.
const minSecret, maxSecret = 24, 64

// errSecret does not repeat what it is about.
var errSecret = errors.New("it is not one or more secrets, separated by blanks, of the form whsec_ and 24 to 64 bytes in base64: openssl rand -base64 32 makes such bytes")

// Secret signs messages. It does not show itself.
type Secret struct{ hook *standardwebhooks.Webhook }

// String hides the secret.
func (Secret) String() string { return "whsec_…" }

// GoString hides the secret.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// ParseSecrets reads secrets that are separated by blanks, the newest first: whsec_ and 24 to 64 bytes in base64. Its error does not
// repeat them.
func ParseSecrets(text string) ([]Secret, error) {
	var secrets []Secret
	for field := range strings.FieldsSeq(text) {
		encoded, marked := strings.CutPrefix(field, "whsec_")
		key, err := base64.StdEncoding.DecodeString(encoded)
		if !marked || err != nil || len(key) < minSecret || len(key) > maxSecret {
			return nil, errSecret
		}
		hook, err := standardwebhooks.NewWebhookRaw(key)
		if err != nil {
			return nil, errSecret
		}
		secrets = append(secrets, Secret{hook})
	}
	return secrets, nil
}

// sign is the signature of a message by each secret, empty without any. Several let receivers change over from one to the next.
func (s *Sender) sign(id string, at time.Time, body []byte) (string, error) {
	var all []string
	for _, secret := range s.Secrets {
		signature, err := secret.hook.Sign(id, at, body)
		if err != nil {
			return "", err
		}
		all = append(all, signature)
	}
	return strings.Join(all, " "), nil
}
