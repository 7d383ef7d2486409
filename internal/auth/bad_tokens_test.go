package auth_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/auth"
)

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// byHMAC signs as HS256 does.
func byHMAC(head string, claims any, secret []byte) string {
	text := b64(head) + "." + b64(string(must(json.Marshal(claims))))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func publicPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(rsaKey().Public()))})
}

func sealed(content string) string {
	e := must(jose.NewEncrypter(jose.A128GCM, jose.Recipient{Algorithm: jose.RSA_OAEP_256, Key: rsaKey().Public()}, nil))
	return must(must(e.Encrypt([]byte(content))).CompactSerialize())
}

// withoutKeys are tokens that are refused for what they say, whoever has signed them.
func (i *issuer) withoutKeys() map[string]string {
	good := i.token()
	parts := strings.Split(good, ".")
	bare := i.claims()
	return map[string]string{
		"nothing":                      "",
		"a dot":                        ".",
		"two dots":                     "..",
		"three dots":                   "...",
		"one of ours":                  "r2v_abcdefghijklmnopqrstuvwxyz234567",
		"a word":                       "garbage",
		"garbage in three parts":       "a.b.c",
		"a megabyte":                   strings.Repeat("a", 1<<20),
		"a megabyte in three parts":    strings.Repeat("a", 1<<19) + "." + strings.Repeat("b", 1<<19) + ".c",
		"a megabyte of dots":           strings.Repeat(".", 1<<20),
		"a megabyte of claims":         i.token("x", strings.Repeat("x", 1<<20)),
		"no signature":                 parts[0] + "." + parts[1] + ".",
		"two parts":                    parts[0] + "." + parts[1],
		"four parts":                   good + ".more",
		"a JWE":                        sealed(good),
		"blanks inside":                parts[0] + ". " + parts[1] + "." + parts[2],
		"a line end inside":            parts[0] + "\n." + parts[1] + "." + parts[2],
		"a line end after it":          good + "\n",
		"the other base64":             parts[0] + "." + parts[1] + "==." + parts[2],
		"not ASCII":                    good + "é",
		"its JSON form":                `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"a header that is null":        b64("null") + "." + parts[1] + "." + parts[2],
		"a header that is a list":      b64("[]") + "." + parts[1] + "." + parts[2],
		"claims that are null":         parts[0] + "." + b64("null") + "." + parts[2],
		"claims that are a list":       parts[0] + "." + b64("[]") + "." + parts[2],
		"claims that are a bottomless": parts[0] + "." + b64(strings.Repeat("[", 11000)) + "." + parts[2],
		"alg none":                     b64(`{"alg":"none"}`) + "." + parts[1] + ".",
		"alg none, signed":             b64(`{"alg":"none"}`) + "." + parts[1] + "." + parts[2],
		"alg None":                     b64(`{"alg":"None"}`) + "." + parts[1] + "." + parts[2],
		"no alg":                       b64(`{"typ":"JWT"}`) + "." + parts[1] + "." + parts[2],
		"HS256 by the public key":      byHMAC(`{"alg":"HS256","kid":"rsa"}`, bare, publicPEM()),
		"HS256 by nothing":             byHMAC(`{"alg":"HS256","kid":"rsa"}`, bare, nil),
		"an unknown alg":               b64(`{"alg":"XS256"}`) + "." + parts[1] + "." + parts[2],
		"an alg of two":                b64(`{"alg":["RS256"]}`) + "." + parts[1] + "." + parts[2],
		"critical extensions":          b64(`{"alg":"RS256","crit":["b64"],"b64":false}`) + "." + parts[1] + "." + parts[2],
		"another issuer":               i.token("iss", "https://accounts.example"),
		"an issuer with a slash":       i.token("iss", i.URL+"/"),
		"no issuer":                    i.token("iss", nil),
		"an issuer by another name":    i.token("iss", nil, "ISS", i.URL),
		"another audience":             i.token("aud", "https://other.example/mcp"),
		"an audience that begins so":   i.token("aud", forUs+"/more"),
		"several other audiences":      i.token("aud", []string{"a", "b"}),
		"no audience":                  i.token("aud", nil),
		"an empty audience":            i.token("aud", []string{}),
		"an audience of objects":       i.token("aud", []any{map[string]any{"a": forUs}}),
		"expired":                      i.token("exp", ago(61*time.Second)),
		"expired long ago":             i.token("exp", -1),
		"no end":                       i.token("exp", nil),
		"an end in words":              i.token("exp", "never"),
		"an end that is no number":     parts[0] + "." + b64(`{"iss":"`+i.URL+`","aud":"`+forUs+`","sub":"alice","exp":1e999}`) + "." + parts[2],
		"not yet":                      i.token("nbf", in(90*time.Second)),
		"made tomorrow":                i.token("iat", in(24*time.Hour)),
		"nobody":                       i.token("sub", ""),
		"no subject":                   i.token("sub", nil),
		"a subject by another name":    i.token("sub", nil, "Sub", "alice"),
		"a subject that is a number":   i.token("sub", 7),
		"a subject on two lines":       i.token("sub", "alice\nbob"),
		"a subject with a zero":        i.token("sub", "alice\x00"),
		"a subject turned around":      i.token("sub", "\u202ealice"),
		"a subject that hides":         i.token("sub", "al\u200bice"),
		"a subject that is no text":    signed(jose.RS256, rsaKey(), "rsa", []byte(`{"iss":"`+i.URL+`","aud":"`+forUs+`","exp":9e9,"sub":"a\ud800"}`)),
		"a subject of bad bytes":       signed(jose.RS256, rsaKey(), "rsa", []byte(`{"iss":"`+i.URL+`","aud":"`+forUs+`","exp":9e9,"sub":"a`+"\xff"+`"}`)),
		"a subject that is too long":   i.token("sub", strings.Repeat("x", 256-len(i.URL))),
	}
}

// badSignatures are tokens that say the right things, of which only the keys tell that they are wrong.
func (i *issuer) badSignatures() map[string]string {
	parts := strings.Split(i.token(), ".")
	other := strings.Split(i.token("sub", "mallory"), ".")
	withKey := &jose.SignerOptions{EmbedJWK: true}
	byAddress := (&jose.SignerOptions{}).WithHeader("jku", i.URL+"/other-keys").WithHeader("kid", "theirs")
	payload := must(json.Marshal(i.claims()))
	return map[string]string{
		"an unknown kid":           signed(jose.RS256, rsaKey(), "unknown", i.claims()),
		"a kid that is a path":     signed(jose.RS256, rsaKey(), "../../../../dev/null", i.claims()),
		"another key":              signed(jose.RS256, otherRSA(), "rsa", i.claims()),
		"another key, no kid":      signed(jose.RS256, otherRSA(), "", i.claims()),
		"another's signature":      parts[0] + "." + other[1] + "." + parts[2],
		"half a signature":         parts[0] + "." + parts[1] + "." + parts[2][:len(parts[2])/2],
		"one bit":                  parts[0] + "." + parts[1] + "." + parts[2][:10] + "AAAA" + parts[2][14:],
		"the kid of another kind":  signed(jose.ES256, ecKey(), "rsa", i.claims()),
		"an alg of another kind":   b64(`{"alg":"ES256","kid":"rsa"}`) + "." + parts[1] + "." + parts[2],
		"its key comes with it":    signedWith(jose.RS256, otherRSA(), payload, withKey),
		"its key is somewhere":     signedWith(jose.RS256, otherRSA(), payload, byAddress),
		"a zero ECDSA signature":   b64(`{"alg":"ES256","kid":"ec"}`) + "." + parts[1] + "." + b64(strings.Repeat("\x00", 64)),
		"alg twice, the last none": b64(`{"alg":"none","ALG":"RS256","kid":"rsa"}`) + "." + parts[1] + "." + parts[2],
	}
}

func TestBadTokensAreUnknown(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	people := i.people(t)
	bad := i.withoutKeys()
	for name, token := range bad {
		p, err := people.Verify(t.Context(), token)
		require.ErrorIs(t, err, auth.ErrUnknown, name)
		require.Zero(t, p, name)
	}
	require.Zero(t, i.descriptions.Load(), "nobody was asked for what can be no token")
	for name, token := range i.badSignatures() {
		p, err := people.Verify(t.Context(), token)
		require.ErrorIs(t, err, auth.ErrUnknown, name)
		require.Zero(t, p, name)
	}
	require.EqualValues(t, 1, i.descriptions.Load())
	require.EqualValues(t, 1, i.keysAsks.Load(), "a bad signature does not fetch the keys each time")
	require.Empty(t, i.journal.String(), "bad tokens are the callers' business")
	require.GreaterOrEqual(t, len(bad), 40)
}
