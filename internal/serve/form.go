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
	maxValues = 10_000
	keysDepth = 3 // down to which a key may come once: the message, its params, and the arguments and _meta in them
)

var errNoJSON = errors.New("the body is not JSON in UTF-8")

// checkMessage refuses what two readers may take for two different messages: text after the message, keys that come twice, also
// in another case above the arguments, and what is not UTF-8. It refuses nesting as well, which costs readers more than it
// costs writers, very many values, which do so too, and batches, which no protocol since 2025-06-18 has.
func checkMessage(body []byte) (message, error) {
	if !utf8.Valid(body) || !json.Valid(body) {
		return message{}, errNoJSON
	}
	if body[after(body, 0)] != '{' {
		return message{}, errors.New("the body has to be one JSON-RPC message: batches are not taken")
	}
	f := form{message: message{body: body}}
	err := f.check()
	return f.message, err
}

// message is a body that has passed [checkMessage].
type message struct {
	body       []byte
	begin, end int // of the arguments of a call, both 0 when there are none
}

// form is how far the look at a message's form has come.
type form struct {
	message
	depth  int
	values int
	keys   [keysDepth + 1]map[string]bool // of the objects that are open, in the spelling in which they are compared
	params bool                           // whether the last key of the message itself was params
}

// check walks over valid JSON. Strings are passed over in one go: a picture is a long one.
func (f *form) check() error {
	for i := 0; i < len(f.body); i++ {
		switch f.body[i] {
		case '{', '[', ',':
			if f.values++; f.values > maxValues {
				return fmt.Errorf("the message has more than %d values", maxValues)
			}
			if f.body[i] == ',' {
				f.ends(i)
			} else if err := f.open(); err != nil {
				return err
			}
		case '}', ']':
			f.ends(i)
			f.depth--
		case '"':
			begin := i
			i = endOfString(f.body, i)
			if colon := after(f.body, i+1); f.depth <= keysDepth && f.body[colon] == ':' {
				if err := f.key(f.body[begin:i+1], colon); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (f *form) open() error {
	if f.depth++; f.depth > maxDepth {
		return fmt.Errorf("the message is nested deeper than %d", maxDepth)
	}
	if f.depth <= keysDepth {
		clear(f.keys[f.depth])
	}
	return nil
}

// key looks at a key, before whose value there is a colon.
func (f *form) key(quoted []byte, colon int) error {
	if f.keys[f.depth] == nil {
		f.keys[f.depth] = map[string]bool{}
	}
	key := unquote(quoted)
	if f.depth < keysDepth {
		key = strings.ToLower(strings.ToUpper(key)) // as encoding/json compares: the long s is an s as well
	}
	if f.keys[f.depth][key] {
		return errors.New("a key comes twice in the message")
	}
	f.keys[f.depth][key] = true
	switch {
	case f.depth == 1:
		f.params = key == "params"
	case f.depth == 2 && f.params && key == "arguments":
		f.begin = after(f.body, colon+1)
	}
	return nil
}

// ends notes where the arguments end, at a sign that ends a value.
func (f *form) ends(i int) {
	if f.depth == 2 && f.begin > 0 && f.end == 0 {
		f.end = f.begin + len(bytes.TrimRight(f.body[f.begin:i], blanks))
	}
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

const blanks = " \t\r\n"

// after tells where the next sign is that is not blank. There is one behind everything but the message's last.
func after(body []byte, i int) int {
	for strings.IndexByte(blanks, body[i]) >= 0 {
		i++
	}
	return i
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
