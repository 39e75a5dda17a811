package rewrite

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"plimsoll/internal/fault"
)

// object is a JSON object whose members keep their order, and the text of their
// values until somebody sets another. Members with the value null are absent.
type object struct {
	where   string // for messages: "linux.resources"
	members []member
}

type member struct {
	name  string
	value json.RawMessage
}

// parse reads an object of a checked document. known are the names that mean
// something there; a name that only looks like one of them is refused.
func parse(raw json.RawMessage, where string, known []string) (*object, error) {
	o := &object{where: where}
	i := space(raw, 0)
	if i >= len(raw) || raw[i] != '{' {
		return nil, fault.Errorf(fault.Invalid, "%s: not an object", name(where))
	}
	for i = space(raw, i+1); raw[i] != '}'; {
		end := quoted(raw, i)
		key := unquote(raw[i:end])
		if err := exact(key, known); err != nil {
			return nil, fault.Errorf(fault.Invalid, "%s: %w", name(where), err)
		}
		start := space(raw, space(raw, end)+1)
		end = value(raw, start)
		if v := raw[start:end]; string(v) != "null" {
			o.members = append(o.members, member{key, v})
		}
		i = separator(raw, end)
	}
	return o, nil
}

func name(where string) string {
	if where == "" {
		return "the document"
	}
	return where
}

// exact refuses a name that decoders which ignore case take for a known one.
func exact(key string, known []string) error {
	for _, k := range known {
		if key == k {
			return nil
		}
	}
	for _, k := range known {
		if strings.EqualFold(key, k) {
			return fault.Errorf(fault.Invalid, "the member %.80q looks like %q", key, k)
		}
	}
	return nil
}

func (o *object) get(key string) (json.RawMessage, bool) {
	for _, m := range o.members {
		if m.name == key {
			return m.value, true
		}
	}
	return nil, false
}

func (o *object) has(key string) bool {
	_, ok := o.get(key)
	return ok
}

func (o *object) put(key string, value json.RawMessage) {
	for i := range o.members {
		if o.members[i].name == key {
			o.members[i].value = value
			return
		}
	}
	o.members = append(o.members, member{key, value})
}

// set puts what encoding/json makes of v.
func (o *object) set(key string, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("rewrite: " + key + ": " + err.Error()) // only plain values are set
	}
	o.put(key, raw)
}

func (o *object) drop(keys ...string) {
	kept := o.members[:0]
next:
	for _, m := range o.members {
		for _, k := range keys {
			if m.name == k {
				continue next
			}
		}
		kept = append(kept, m)
	}
	o.members = kept
}

// encode returns the object's text.
func (o *object) encode() json.RawMessage {
	size := 2
	for _, m := range o.members {
		size += len(m.name) + len(m.value) + 4
	}
	b := append(make([]byte, 0, size), '{')
	for i, m := range o.members {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, m.name)
		b = append(append(b, ':'), m.value...)
	}
	return append(b, '}')
}

func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			quoted, err := json.Marshal(s)
			if err != nil {
				panic("rewrite: " + err.Error()) // strings have a JSON form
			}
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// child parses the object that is a member; nil if there is none.
func (o *object) child(key string, known []string) (*object, error) {
	raw, ok := o.get(key)
	if !ok {
		return nil, nil //nolint:nilnil // absence is no error
	}
	return parse(raw, o.path(key), known)
}

func (o *object) path(key string) string {
	if o.where == "" {
		return key
	}
	return o.where + "." + key
}

// elements returns the values of an array that is a member.
func (o *object) elements(key string) ([]json.RawMessage, error) {
	raw, ok := o.get(key)
	if !ok {
		return nil, nil
	}
	if raw[0] != '[' {
		return nil, o.wrong(key, "an array")
	}
	var all []json.RawMessage
	for i := space(raw, 1); raw[i] != ']'; {
		end := value(raw, i)
		all = append(all, raw[i:end])
		i = separator(raw, end)
	}
	return all, nil
}

func (o *object) wrong(key, kind string) error {
	raw, _ := o.get(key)
	return fault.Errorf(fault.Invalid, "%s: %.80q is not %s", o.path(key), raw, kind)
}

// text returns a member that is a string, "" if there is none.
func (o *object) text(key string) (string, error) {
	raw, ok := o.get(key)
	switch {
	case !ok:
		return "", nil
	case raw[0] != '"':
		return "", o.wrong(key, "a string")
	}
	return unquote(raw), nil
}

// texts returns a member that is an array of strings.
func (o *object) texts(key string) ([]string, error) {
	all, err := o.elements(key)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	list := make([]string, len(all))
	for i, raw := range all {
		if raw[0] != '"' {
			return nil, o.wrong(key, "an array of strings")
		}
		list[i] = unquote(raw)
	}
	return list, nil
}

// table returns a member that is an object of strings, in its order.
func (o *object) table(key string) (*object, error) {
	t, err := o.child(key, nil)
	if err != nil || t == nil {
		return t, err
	}
	for _, m := range t.members {
		if m.value[0] != '"' {
			return nil, o.wrong(key, "an object of strings")
		}
	}
	return t, nil
}

// flag returns a member that is true or false, false if there is none.
func (o *object) flag(key string) (bool, error) {
	raw, ok := o.get(key)
	switch {
	case !ok || string(raw) == "false":
		return false, nil
	case string(raw) == "true":
		return true, nil
	}
	return false, o.wrong(key, "true or false")
}

// number returns a member that is a whole number; what is too large for its type
// is the largest.
func (o *object) number(key string) (n int64, ok bool, err error) {
	raw, ok := o.get(key)
	if !ok {
		return 0, false, nil
	}
	n, err = strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		if _, err := strconv.ParseUint(string(raw), 10, 64); err != nil {
			return 0, false, o.wrong(key, "a whole number of 64 bits")
		}
		n = math.MaxInt64
	}
	return n, true, nil
}

// unsigned returns a member that is a whole number of 64 bits, 0 if there is
// none.
func (o *object) unsigned(key string) (uint64, error) {
	raw, ok := o.get(key)
	if !ok {
		return 0, nil
	}
	n, err := strconv.ParseUint(string(raw), 10, 64)
	if err != nil {
		return 0, o.wrong(key, "a whole number of 64 bits")
	}
	return n, nil
}
