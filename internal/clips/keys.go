package clips

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode"
)

// lazily compiles an expression when it is first needed, which most starts never do.
func lazily(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}

// Keys are the credentials for a storage. Printed or logged in any way, they show nothing.
type Keys struct {
	ID      string // AWS_ACCESS_KEY_ID
	Secret  string // AWS_SECRET_ACCESS_KEY
	Session string // AWS_SESSION_TOKEN, empty for credentials that do not end
}

// Check refuses keys that are missing, or that hold spaces or line ends, which files add and which no key has. The error names the variable.
func (k Keys) Check() error {
	if k.ID == "" || k.Secret == "" {
		return errors.New("R2V_SAVE_URL needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: set both")
	}
	for name, key := range map[string]string{"AWS_ACCESS_KEY_ID": k.ID, "AWS_SECRET_ACCESS_KEY": k.Secret, "AWS_SESSION_TOKEN": k.Session} {
		if strings.ContainsFunc(key, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
			return fmt.Errorf("%s holds a space or a line end: set it without", name)
		}
	}
	return nil
}

// Format shows nothing of the keys, whatever the verb.
func (k Keys) Format(s fmt.State, _ rune) { fmt.Fprint(s, "(keys)") }

// MarshalText shows nothing of the keys in JSON and logs.
func (k Keys) MarshalText() ([]byte, error) { return []byte("(keys)"), nil }
