package dashscope

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

// text returns a string, or the digits of a number: codes and ids come as either.
func (o object) text(key string) string {
	var s string
	if json.Unmarshal(o[key], &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(o[key], &n) == nil {
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
// duration but a way to make a decimal library eat memory.
var decimal = lazily(`^-?(0|[1-9][0-9]{0,29})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?$`)

// number returns a number's digits as they were sent, quoted or not; "" when there is none.
func (o object) number(key string) json.Number {
	if s := strings.TrimSpace(o.text(key)); decimal().MatchString(s) {
		return json.Number(s)
	}
	return ""
}

// integer returns a whole number, which may be written 720, 720.0 or "720"; 0 when there is none.
func (o object) integer(key string) int64 {
	whole, fraction, _ := strings.Cut(o.number(key).String(), ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || strings.Trim(fraction, "0") != "" {
		return 0
	}
	return n
}

// beijing is the zone of all times that the service writes without one.
func beijing() *time.Location { return time.FixedZone("UTC+8", 8*60*60) }

// clock returns a time written as "2006-01-02 15:04:05.000" in UTC+8; the zero time when there is none.
func (o object) clock(key string) time.Time {
	t, err := time.ParseInLocation(time.DateTime, o.text(key), beijing()) // takes fractions of a second too
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// lastMillisecond is the end of the year 9999, beyond which a time has no RFC 3339 form.
const lastMillisecond = 253402300799999

// epoch returns a time given in milliseconds since 1970; the zero time when there is none.
func (o object) epoch(key string) time.Time {
	ms := o.integer(key)
	if ms <= 0 || ms > lastMillisecond {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// encode writes v as JSON that keeps <, > and & as they are, so that prompts and URLs read the same on the wire.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
