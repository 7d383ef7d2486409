package evolink

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// object is a JSON object as it came, read field by field. Unlike a struct's, its keys keep their case, and a field of an
// unexpected type is an absent field, not the end of the answer: nothing beside a task's id may cost us the id.
type object map[string]json.RawMessage

func parseObject(body []byte) (object, error) {
	var o object
	if json.Unmarshal(body, &o) != nil || o == nil {
		return nil, errNotObject
	}
	return o, nil
}

func (o object) object(key string) object {
	inner, err := parseObject(o[key])
	if err != nil {
		return nil
	}
	return inner
}

// objects returns an array of objects; false when there is none or one of its elements is something else.
func (o object) objects(key string) ([]object, bool) {
	var rows []object
	if json.Unmarshal(o[key], &rows) != nil || rows == nil {
		return nil, false
	}
	for _, row := range rows {
		if row == nil {
			return nil, false
		}
	}
	return rows, true
}

// each returns the elements of an array, or the one value that stands in place of it.
func (o object) each(key string) []json.RawMessage {
	var rows []json.RawMessage
	if json.Unmarshal(o[key], &rows) == nil {
		return rows
	}
	return []json.RawMessage{o[key]}
}

// text returns a string, or the digits of a number: codes and ids come as either.
func (o object) text(key string) string { return textOf(o[key]) }

func textOf(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String()
	}
	return ""
}

// first returns the first of the keys' texts that is not empty.
func (o object) first(keys ...string) string {
	for _, key := range keys {
		if s := o.text(key); s != "" {
			return s
		}
	}
	return ""
}

// decimal is a JSON number short enough to be worked with exactly: a longer one, or one with a huge exponent, is no
// price but a way to make a decimal library eat memory.
var decimal = lazily(`^-?(0|[1-9][0-9]{0,29})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?$`)

// number returns a number's digits as they were sent, quoted or not; "" when there is none.
func (o object) number(key string) json.Number {
	if s := strings.TrimSpace(o.text(key)); decimal().MatchString(s) {
		return json.Number(s)
	}
	return ""
}

// amount returns a number that is not below zero, as number does.
func (o object) amount(key string) json.Number {
	if n := o.number(key); !strings.HasPrefix(n.String(), "-") {
		return n
	}
	return ""
}

// whole returns the whole part of a number, which may be written 720, 720.5 or "720"; 0 when there is none.
func (o object) whole(key string) int64 {
	digits, _, _ := strings.Cut(o.number(key).String(), ".")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// flag returns a truth value, which may be quoted or a number; known is false when there is none.
func (o object) flag(key string) (value, known bool) {
	if json.Unmarshal(o[key], &value) == nil && string(o[key]) != "null" {
		return value, len(o[key]) > 0
	}
	value, err := strconv.ParseBool(o.text(key))
	return value, err == nil
}

// isTrue reports whether a field is there and true.
func (o object) isTrue(key string) bool {
	value, known := o.flag(key)
	return known && value
}

// isFalse reports whether a field is there and false.
func (o object) isFalse(key string) bool {
	value, known := o.flag(key)
	return known && !value
}

// lastSecond is the end of the year 9999, beyond which a time has no RFC 3339 form.
const lastSecond = 253402300799

// when returns a time given in seconds since 1970, as a number or as its digits, or in RFC 3339; the zero time when there
// is none. The documents have seconds in tasks and RFC 3339 in files, and say nothing of lists.
func (o object) when(key string) time.Time {
	seconds := o.whole(key)
	if at, err := time.Parse(time.RFC3339, strings.TrimSpace(o.text(key))); err == nil {
		seconds = at.Unix()
	}
	if seconds <= 0 || seconds > lastSecond {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// encode writes v as JSON that keeps <, > and & as they are, so that prompts and URLs read the same on the wire.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
