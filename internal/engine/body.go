package engine

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"

	"plimsoll/internal/fault"
)

const (
	maxBody  = 4 << 20 // bytes of a JSON body
	maxDepth = 32      // of nested values in one
)

// readBody returns the whole body of a request, which must be JSON. A body that
// is missing, or of another type, is refused: an engine may read it all the same.
func readBody(r *http.Request) ([]byte, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, fault.Errorf(fault.Invalid, "the body must be application/json")
	}
	if enc := r.Header.Get("Content-Encoding"); enc != "" {
		return nil, fault.Errorf(fault.Invalid, "the body must not be encoded as %q", enc)
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "read body: %w", err)
	}
	if len(data) > maxBody {
		return nil, fault.Errorf(fault.Invalid, "the body is longer than %d bytes", maxBody)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, fault.Errorf(fault.Invalid, "the body is empty")
	}
	return data, nil
}

// noBody refuses a request that brings a body where none belongs, as starts of
// containers did before version 1.24.
func noBody(r *http.Request) error {
	var one [1]byte
	switch n, err := io.ReadFull(r.Body, one[:]); {
	case n > 0:
		return fault.Errorf(fault.Denied, "this request has no body")
	case errors.Is(err, io.EOF):
		return nil
	default:
		return fault.Errorf(fault.Invalid, "read body: %w", err)
	}
}

// read reads the request's body as [decodeBody] does.
func (q *request) read(into any, old legacy) error {
	data, err := readBody(q.r)
	if err != nil {
		return err
	}
	return decodeBody(data, into, old)
}

// decodeBody reads JSON into a pointer to one of the engine's types. Every
// object's members must be named as the type names them, letter case included,
// and once; what the type does not have must be in the legacy table with the
// value said there, and is left out. One value, and nothing after it.
func decodeBody(data []byte, into any, old legacy) error {
	w := walker{dec: json.NewDecoder(bytes.NewReader(data)), legacy: old}
	if err := w.value(reflect.TypeOf(into).Elem(), "", 0); err != nil {
		return err
	}
	if _, err := w.dec.Token(); !errors.Is(err, io.EOF) {
		return fault.Errorf(fault.Denied, "body: something follows the JSON value")
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fault.Errorf(fault.Invalid, "body: %w", err)
	}
	return nil
}

// walker follows JSON and a type side by side.
type walker struct {
	dec    *json.Decoder
	legacy legacy
}

var (
	jsonReader = reflect.TypeFor[json.Unmarshaler]()
	textReader = reflect.TypeFor[encoding.TextUnmarshaler]()
	anything   = reflect.TypeFor[any]()
)

// value follows one value of type t, which stands at path.
func (w *walker) value(t reflect.Type, path string, depth int) error {
	if depth > maxDepth {
		return fault.Errorf(fault.Denied, "body: %s is nested too deeply", path)
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	token, err := w.dec.Token()
	if err != nil {
		return fault.Errorf(fault.Invalid, "body: %w", err)
	}
	switch token {
	case json.Delim('{'):
		return w.object(t, path, depth)
	case json.Delim('['):
		element := anything
		if (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) && !readsItself(t) {
			element = t.Elem()
		}
		for n := 0; w.dec.More(); n++ {
			if t.Kind() == reflect.Array && n >= t.Len() {
				return fault.Errorf(fault.Denied, "body: %s has more than %d elements", path, t.Len())
			}
			if err := w.value(element, path+"[]", depth+1); err != nil {
				return err
			}
		}
		return w.end()
	}
	return nil
}

// object follows the members of an object whose "{" was read.
func (w *walker) object(t reflect.Type, path string, depth int) error {
	var members map[string]reflect.Type
	if t.Kind() == reflect.Struct && !readsItself(t) {
		members = membersOf(t)
	}
	seen := map[string]bool{}
	for w.dec.More() {
		token, err := w.dec.Token()
		if err != nil {
			return fault.Errorf(fault.Invalid, "body: %w", err)
		}
		name, _ := token.(string)
		if seen[name] {
			return fault.Errorf(fault.Denied, "body: %s is there twice", join(path, name))
		}
		seen[name] = true
		if err := w.member(t, members, path, name, depth); err != nil {
			return err
		}
	}
	return w.end()
}

func (w *walker) member(t reflect.Type, members map[string]reflect.Type, path, name string, depth int) error {
	at := join(path, name)
	switch {
	case members != nil:
		if of, ok := members[name]; ok {
			return w.value(of, at, depth+1)
		}
		return w.old(at)
	case t.Kind() == reflect.Map && !readsItself(t):
		return w.value(t.Elem(), join(path, "*"), depth+1)
	}
	return w.value(anything, at, depth+1)
}

// old follows a member that the type does not have.
func (w *walker) old(at string) error {
	allowed, ok := w.legacy[at]
	if !ok {
		return fault.Errorf(fault.Denied, "body: %s is not known", at)
	}
	var v json.RawMessage
	if err := w.dec.Decode(&v); err != nil {
		return fault.Errorf(fault.Invalid, "body: %w", err)
	}
	if s := string(v); !zeroJSON(s) && !slices.Contains(allowed, s) {
		return fault.Errorf(fault.Denied, "body: %s is a field of an older API and may not be used", at)
	}
	return nil
}

func (w *walker) end() error {
	if _, err := w.dec.Token(); err != nil {
		return fault.Errorf(fault.Invalid, "body: %w", err)
	}
	return nil
}

func zeroJSON(s string) bool {
	return slices.Contains([]string{"null", "0", `""`, "false", "[]", "{}"}, s)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// readsItself reports whether the type has its own reading of JSON, so that its
// members are not those of its fields.
func readsItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(jsonReader) || p.Implements(textReader)
}

// structs are the members of structs that were asked for before.
var structs sync.Map // reflect.Type → map[string]reflect.Type

// membersOf returns the members of a struct by name, those of embedded structs
// included (encoding/json's rules, as far as the engine's types use them). Nobody
// changes what it returns.
func membersOf(t reflect.Type) map[string]reflect.Type {
	if m, ok := structs.Load(t); ok {
		if members, ok := m.(map[string]reflect.Type); ok {
			return members
		}
	}
	members := readMembers(t)
	structs.Store(t, members)
	return members
}

func readMembers(t reflect.Type) map[string]reflect.Type {
	members := map[string]reflect.Type{}
	for f := range t.Fields() {
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		of := f.Type
		for of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		switch {
		case tag == "-" || !f.IsExported() && !f.Anonymous:
		case f.Anonymous && tag == "" && of.Kind() == reflect.Struct:
			for name, inner := range membersOf(of) {
				if _, ok := members[name]; !ok {
					members[name] = inner
				}
			}
		case tag != "":
			members[tag] = f.Type
		default:
			members[f.Name] = f.Type
		}
	}
	return members
}
