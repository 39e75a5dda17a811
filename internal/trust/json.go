package trust

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"

	"plimsoll/internal/fault"
)

// Caps on metadata of any role, beside the caps on its bytes in [Limits].
const (
	maxDepth   = 16      // nested objects and arrays
	maxEntries = 1 << 20 // values in one file
)

// parseJSON returns the one JSON value in b: objects as map[string]any, arrays
// as []any, numbers as json.Number. It refuses what two readers could read
// differently: duplicate keys, fractions, text that is not UTF-8.
func parseJSON(b []byte) (any, error) {
	if !utf8.Valid(b) {
		return nil, fault.Errorf(fault.Invalid, "not UTF-8")
	}
	if !json.Valid(b) {
		return nil, fault.Errorf(fault.Invalid, "not JSON")
	}
	p := &jsonParser{dec: json.NewDecoder(bytes.NewReader(b))}
	p.dec.UseNumber()
	return p.value(0)
}

type jsonParser struct {
	dec   *json.Decoder
	count int
}

func (p *jsonParser) value(depth int) (any, error) {
	if p.count++; p.count > maxEntries {
		return nil, fault.Errorf(fault.Invalid, "more than %d values", maxEntries)
	}
	token, err := p.dec.Token()
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "parse: %w", err)
	}
	switch t := token.(type) {
	case json.Delim:
		if depth == maxDepth {
			return nil, fault.Errorf(fault.Invalid, "nested deeper than %d", maxDepth)
		}
		if t == '{' {
			return p.object(depth + 1)
		}
		return p.array(depth + 1)
	case json.Number:
		if !isInteger(t.String()) {
			return nil, fault.Errorf(fault.Invalid, "number %q is not an integer of 64 bits", t)
		}
	}
	return token, nil
}

func (p *jsonParser) object(depth int) (any, error) {
	m := make(map[string]any)
	for p.dec.More() {
		token, err := p.dec.Token()
		if err != nil {
			return nil, fault.Errorf(fault.Invalid, "parse: %w", err)
		}
		name, ok := token.(string)
		if _, twice := m[name]; twice || !ok {
			return nil, fault.Errorf(fault.Invalid, "key %q occurs twice", name)
		}
		if m[name], err = p.value(depth); err != nil {
			return nil, err
		}
	}
	return m, p.end()
}

func (p *jsonParser) array(depth int) (any, error) {
	a := []any{}
	for p.dec.More() {
		v, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		a = append(a, v)
	}
	return a, p.end()
}

func (p *jsonParser) end() error {
	if _, err := p.dec.Token(); err != nil {
		return fault.Errorf(fault.Invalid, "parse: %w", err)
	}
	return nil
}

// isInteger reports whether s is the only way to write an integer of 64 bits.
func isInteger(s string) bool {
	n, err := strconv.ParseInt(s, 10, 64)
	return err == nil && strconv.FormatInt(n, 10) == s
}

// canonical returns the bytes of v that are signed, OLPC canonical JSON: keys
// sorted, no white space, only the quote and the backslash escaped. It knows the
// types that [parseJSON] returns and those that encode methods write.
func canonical(v any) ([]byte, error) {
	b, err := appendCanonical(nil, v)
	if err != nil {
		return nil, fmt.Errorf("canonical form: %w", err)
	}
	return b, nil
}

func appendCanonical(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case string:
		return appendString(b, v), nil
	case json.Number:
		return append(b, v...), nil
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case []string:
		return appendList(b, v)
	case []any:
		return appendList(b, v)
	case map[string]any:
		return appendObject(b, v)
	}
	return nil, fmt.Errorf("a value of type %T", v)
}

func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

func appendList[T any](b []byte, all []T) ([]byte, error) {
	var err error
	b = append(b, '[')
	for i, v := range all {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendCanonical(b, v); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

func appendObject(b []byte, m map[string]any) ([]byte, error) {
	var err error
	b = append(b, '{')
	for i, name := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, name), ':')
		if b, err = appendCanonical(b, m[name]); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// encodeJSON returns v as a file: compact, keys sorted.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return b.Bytes(), nil
}
