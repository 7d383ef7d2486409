package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"strings"
)

const (
	prefix    = "r2v_" // by which people, and programs that look for secrets, know a token
	random    = 20     // bytes of a token that nobody can guess
	shortest  = 20     // characters of a token that an operator brings
	longest   = 512    // characters of a token of the file
	hashWord  = "sha256:"
	metrics   = "metrics"
	nameLimit = 64
)

// hash is what the file keeps of a token. A plain SHA-256 is right for random tokens: the slow hashes for passwords make up for
// what people think of, and 160 random bits need no such help. It also makes the look-up safe to time: what a caller can
// vary is a hash, of which nobody can choose the beginning.
type hash [sha256.Size]byte

func hashOf(token string) hash { return sha256.Sum256([]byte(token)) }

var errName = errors.New("a name has 1 to 64 letters, digits, dots, hyphens and underscores of ASCII, begins with a letter or a digit, " +
	"and does not begin with " + prefix + " as tokens do")

// checkName refuses what cannot be a name. An @ is not allowed, so that no name is ever that of somebody of an OpenID provider.
func checkName(name string) error {
	if name == "" || len(name) > nameLimit || strings.HasPrefix(strings.ToLower(name), prefix) || !isLetterOrDigit(name[0]) {
		return errName
	}
	for i := range len(name) {
		if !isLetterOrDigit(name[i]) && !strings.ContainsRune("._-", rune(name[i])) {
			return errName
		}
	}
	return nil
}

func isLetterOrDigit(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// NewToken makes a token of 160 random bits for a person, and the line by which a file of tokens knows it. A reader's token opens
// /metrics alone. It returns an error that says which names are allowed.
func NewToken(name string, reader bool) (token, line string, err error) {
	if err := checkName(name); err != nil {
		return "", "", err
	}
	bits := make([]byte, random)
	_, _ = rand.Read(bits) // it never fails: see crypto/rand
	token = prefix + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(bits))
	sum := hashOf(token)
	line = name + " " + hashWord + hex.EncodeToString(sum[:])
	if reader {
		line += " " + metrics
	}
	return token, line, nil
}
