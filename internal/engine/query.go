package engine

import (
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"plimsoll/internal/fault"
)

// params are the query parameters that a route knows: names with spaces between
// them. A name that ends in "*" may be given several times.
type params string

// parse reads a query. Unknown names, and a name given twice of which an engine
// would read only the first, are refused: what is not read is not judged.
func (p params) parse(query string) (url.Values, error) {
	if p == anyQuery {
		return url.Values{}, nil
	}
	known := map[string]bool{}
	for name := range strings.FieldsSeq(string(p)) {
		bare := strings.TrimSuffix(name, "*")
		known[bare] = bare != name
	}
	values := url.Values{}
	for query != "" {
		var pair string
		if pair, query, _ = strings.Cut(query, "&"); pair == "" {
			continue
		}
		name, value, err := parsePair(pair)
		if err != nil {
			return nil, err
		}
		several, ok := known[name]
		if !ok {
			return nil, fault.Errorf(fault.Denied, "the query parameter %q is not known here", name)
		}
		if values.Has(name) && !several {
			return nil, fault.Errorf(fault.Denied, "the query parameter %q is given twice", name)
		}
		values.Add(name, value)
	}
	return values, nil
}

func parsePair(pair string) (name, value string, err error) {
	if strings.Contains(pair, ";") {
		return "", "", fault.Errorf(fault.Denied, "a semicolon in a query must be escaped")
	}
	name, value, _ = strings.Cut(pair, "=")
	if name, err = url.QueryUnescape(name); err != nil {
		return "", "", fault.Errorf(fault.Invalid, "query: %w", err)
	}
	if value, err = url.QueryUnescape(value); err != nil {
		return "", "", fault.Errorf(fault.Invalid, "query parameter %q: %w", name, err)
	}
	if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
		return "", "", fault.Errorf(fault.Denied, "the query parameter %q is not text", name)
	}
	return name, value, nil
}

// truth reads a boolean as engines do: anything but nothing, "0", "no", "false"
// and "none" is true.
func truth(v url.Values, name string) bool {
	switch strings.ToLower(strings.TrimSpace(v.Get(name))) {
	case "", "0", "no", "false", "none":
		return false
	}
	return true
}

// number reads a whole number; nothing is 0.
func number(v url.Values, name string) (int64, error) {
	s := v.Get(name)
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fault.Errorf(fault.Invalid, "the query parameter %q is not a number", name)
	}
	return n, nil
}

// only refuses every parameter that is named and says anything.
func only(v url.Values, names ...string) error {
	for _, name := range names {
		if s := v.Get(name); s != "" && s != "0" && s != "false" && s != "null" && s != "[]" && s != "{}" {
			return fault.Errorf(fault.Denied, "the query parameter %q may not be used", name)
		}
		v.Del(name)
	}
	return nil
}
