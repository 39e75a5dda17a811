package ref

import (
	"cmp"
	"slices"
	"strings"

	"plimsoll/internal/fault"
)

// Pattern matches GUNs. Its last or any other path element may be "*", which
// stands for one element, or "**", which stands for any number of them.
type Pattern string

// ParsePattern returns s as a pattern. A wildcard must be a whole path element,
// so that "a*/b" is not read as what it is not.
func ParsePattern(s string) (Pattern, error) {
	if s == "" || strings.ToLower(s) != s {
		return "", fault.Errorf(fault.Invalid, "repository pattern %q: must be a lower-case name", s)
	}
	for e := range strings.SplitSeq(s, "/") {
		if e == "" || (strings.Contains(e, "*") && e != "*" && e != "**") {
			return "", fault.Errorf(fault.Invalid, "repository pattern %q: %q is neither a name, * nor **", s, e)
		}
	}
	return Pattern(s), nil
}

// Match reports whether the pattern covers g.
func (p Pattern) Match(g GUN) bool {
	_, ok := p.capture(strings.Split(string(g), "/"))
	return ok
}

// capture returns what the wildcards of p stood for, joined by slashes.
func (p Pattern) capture(name []string) (string, bool) {
	return capture(strings.Split(string(p), "/"), name)
}

func capture(pattern, name []string) (string, bool) {
	if len(pattern) == 0 {
		return "", len(name) == 0
	}
	switch head, rest := pattern[0], pattern[1:]; {
	case head == "**":
		for n := len(name); n >= 0; n-- {
			if tail, ok := capture(rest, name[n:]); ok {
				return join(strings.Join(name[:n], "/"), tail), true
			}
		}
		return "", false
	case len(name) == 0:
		return "", false
	case head == "*":
		tail, ok := capture(rest, name[1:])
		return join(name[0], tail), ok
	case head == name[0]:
		return capture(rest, name[1:])
	}
	return "", false
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "/" + b
}

// Mirrors maps names that are pulled to the GUN that they stand for:
// "mirror.example.net/payments/**" → "registry.example.com/payments/**".
type Mirrors map[Pattern]Pattern

// GUN returns the name that r's trust collection has: that of the longest
// pattern that matches, or r's own.
func (m Mirrors) GUN(r Reference) GUN {
	patterns := make([]Pattern, 0, len(m))
	for p := range m {
		patterns = append(patterns, p)
	}
	slices.SortFunc(patterns, func(a, b Pattern) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	for _, p := range patterns {
		if rest, ok := p.capture(strings.Split(string(r.GUN()), "/")); ok {
			return GUN(substitute(string(m[p]), rest))
		}
	}
	return r.GUN()
}

func substitute(pattern, rest string) string {
	for _, wildcard := range []string{"**", "*"} {
		if before, after, ok := strings.Cut(pattern, wildcard); ok {
			return strings.TrimSuffix(before+rest+after, "/")
		}
	}
	return pattern
}
