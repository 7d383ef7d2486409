package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxDepth  = 128 // of objects and arrays in each other
	keysDepth = 3   // down to which a key may come once: the message, its params, and the arguments and _meta in them
)

var errNoJSON = errors.New("the body is not JSON in UTF-8")

// checkMessage refuses what two readers may take for two different messages: text after the message, keys that come twice, also
// in another case above the arguments, and what is not UTF-8. It refuses nesting as well, which costs readers more than it
// costs writers, and batches, which no protocol since 2025-06-18 has.
func checkMessage(body []byte) error {
	if !utf8.Valid(body) || !json.Valid(body) {
		return errNoJSON
	}
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); trimmed[0] != '{' {
		return errors.New("the body has to be one JSON-RPC message: batches are not taken")
	}
	return checkForm(body)
}

// checkForm walks over valid JSON. Strings are passed over in one go: a picture is a long one.
func checkForm(body []byte) error {
	depth := 0
	var keys [keysDepth + 1]map[string]bool
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '{', '[':
			if depth++; depth > maxDepth {
				return fmt.Errorf("the message is nested deeper than %d", maxDepth)
			}
			if depth <= keysDepth {
				clear(keys[depth])
			}
		case '}', ']':
			depth--
		case '"':
			begin := i
			i = endOfString(body, i)
			if depth > keysDepth || !isKey(body[i+1:]) {
				continue
			}
			if keys[depth] == nil {
				keys[depth] = map[string]bool{}
			}
			key := unquote(body[begin : i+1])
			if depth < keysDepth {
				key = strings.ToLower(key)
			}
			if keys[depth][key] {
				return errors.New("a key comes twice in the message")
			}
			keys[depth][key] = true
		}
	}
	return nil
}

// endOfString tells where the string that begins at i has its closing quote.
func endOfString(body []byte, i int) int {
	for i++; ; i++ {
		i += bytes.IndexByte(body[i:], '"')
		backslashes := 0
		for body[i-1-backslashes] == '\\' {
			backslashes++
		}
		if backslashes%2 == 0 {
			return i
		}
	}
}

func isKey(after []byte) bool {
	for _, c := range after {
		switch c {
		case ' ', '\t', '\r', '\n':
		default:
			return c == ':'
		}
	}
	return false
}

func unquote(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	var s string
	_ = json.Unmarshal(quoted, &s) // it is valid
	return s
}

// count writes a number of bytes for people.
func count(n int64) string {
	if n >= 1<<20 && n%(1<<20) == 0 {
		return strconv.FormatInt(n>>20, 10) + " MB"
	}
	return strconv.FormatInt(n, 10) + " bytes"
}
