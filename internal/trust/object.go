package trust

import (
	"encoding/json"
	"maps"
	"slices"

	"plimsoll/internal/fault"
)

// object takes the fields out of a parsed JSON object, one by one. The first
// field that is missing or of the wrong type sets the error that all objects of
// one document share; what is left over in the end are the fields that nobody
// knew.
type object struct {
	at   string
	left map[string]any
	err  *error
}

func newObject(v any, at string, err *error) *object {
	o := &object{at: at, left: map[string]any{}, err: err}
	if m, ok := v.(map[string]any); ok {
		o.left = maps.Clone(m)
	} else {
		o.fail("", "not an object")
	}
	return o
}

func (o *object) fail(name, why string) {
	if *o.err == nil {
		*o.err = fault.Errorf(fault.Invalid, "field %q: %s", join(o.at, name), why)
	}
}

func join(at, name string) string {
	if at == "" || name == "" {
		return at + name
	}
	return at + "." + name
}

// take removes and returns a field.
func take[T any](o *object, name string) (value T) {
	v, ok := o.left[name]
	if !ok {
		o.fail(name, "missing")
		return value
	}
	delete(o.left, name)
	if value, ok = v.(T); !ok {
		o.fail(name, "of the wrong type")
	}
	return value
}

func (o *object) has(name string) bool { _, ok := o.left[name]; return ok }

func (o *object) text(name string) string { return take[string](o, name) }

func (o *object) flag(name string) bool { return take[bool](o, name) }

// integer returns a field between low and high, both included.
func (o *object) integer(name string, low, high int64) int64 {
	n, err := take[json.Number](o, name).Int64()
	if err != nil || n < low || n > high {
		o.fail(name, "out of range")
		return low
	}
	return n
}

func (o *object) child(name string) *object {
	return newObject(any(take[map[string]any](o, name)), join(o.at, name), o.err)
}

// each calls fn for every member of the object, in the order of names, and
// empties it. It stops at the first error.
func (o *object) each(limit int, fn func(name string, v any)) {
	if len(o.left) > limit {
		o.fail("", "too many entries")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(o.left)) {
		if *o.err != nil {
			return
		}
		fn(name, o.left[name])
	}
	clear(o.left)
}

func (o *object) list(name string, limit int) []any {
	a := take[[]any](o, name)
	if len(a) > limit {
		o.fail(name, "too many entries")
		return nil
	}
	return a
}

func (o *object) texts(name string, limit int) []string {
	all := []string{}
	for _, v := range o.list(name, limit) {
		s, ok := v.(string)
		if !ok {
			o.fail(name, "not a list of strings")
			return nil
		}
		all = append(all, s)
	}
	return all
}

// rest returns the fields that were not taken.
func (o *object) rest() map[string]any { return o.left }

// withRest returns fields together with rest, the unknown ones; a known field
// wins.
func withRest(rest, fields map[string]any) map[string]any {
	m := maps.Clone(rest)
	if m == nil {
		m = map[string]any{}
	}
	maps.Copy(m, fields)
	return m
}
