package feed

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"deps.dev/util/semver"
	gosemver "golang.org/x/mod/semver"

	"plimsoll/internal/advisory"
)

// span is a set of versions between two; from "" is before all of them, to ""
// is after all.
type span struct {
	from, to   string
	fromOpen   bool // from itself is outside
	toIncluded bool // to itself is inside
}

// spansOf returns what a requirement covers, in ascending order.
func spansOf(s semver.System, requirement string) ([]span, error) {
	c, err := s.ParseConstraint(requirement)
	if err != nil {
		return nil, fmt.Errorf("requirement %q: %w", requirement, err)
	}
	set := c.Set()
	text := strings.TrimSuffix(strings.TrimPrefix(set.String(), "{"), "}")
	var spans []span
	for part := range strings.SplitSeq(text, ",") {
		sp, empty, err := parseSpan(part)
		if err != nil {
			return nil, fmt.Errorf("requirement %q: %w", requirement, err)
		}
		if !empty {
			spans = append(spans, sp)
		}
	}
	return spans, nil
}

// parseSpan reads a span as deps.dev/util/semver documents it: one version, or
// "[1.0.0:2.0.0)" with a round bracket where the end is outside. "∞" stands for
// a number above all.
func parseSpan(s string) (sp span, empty bool, err error) {
	if s == "<empty>" || s == "" {
		return span{}, true, nil
	}
	if strings.TrimLeft(s, "[(") == s {
		return span{from: s, to: s, toIncluded: true}, false, nil
	}
	from, to, ok := strings.Cut(s[1:len(s)-1], ":")
	if !ok || from == "" || to == "" {
		return span{}, false, fmt.Errorf("%q is no span", s)
	}
	sp = span{from: from, to: to, fromOpen: s[0] == '(', toIncluded: s[len(s)-1] == ']'}
	if from == "0.0.0-0" || (from == "0.0.0" && !sp.fromOpen) {
		sp.from = ""
	}
	if strings.Contains(to, "∞") {
		sp.to, sp.toIncluded = afterInfinity(to), false
	}
	return sp, false, nil
}

// afterInfinity returns the first version above one with infinite numbers:
// "2.0.0" for "1.∞.∞", "" for "∞.∞.∞".
func afterInfinity(s string) string {
	numbers := strings.Split(s, ".")
	i := slices.Index(numbers, "∞")
	if i <= 0 {
		return ""
	}
	numbers = numbers[:i]
	numbers[i-1] = increment(numbers[i-1])
	for len(numbers) < 3 {
		numbers = append(numbers, "0")
	}
	return strings.Join(numbers, ".")
}

// increment adds one to a decimal number of any length.
func increment(n string) string {
	b := []byte(n)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] != '9' {
			b[i]++
			return string(b)
		}
		b[i] = '0'
	}
	return "1" + string(b)
}

// events writes spans as a range's events. An open beginning becomes the next
// version that there can be.
func events(spans []span) []advisory.Event {
	var out []advisory.Event
	for _, sp := range spans {
		from := cmp.Or(sp.from, "0")
		if sp.fromOpen {
			from = next(from)
		}
		out = append(out, advisory.Event{Introduced: from})
		switch {
		case sp.to == "":
		case sp.toIncluded:
			out = append(out, advisory.Event{LastAffected: sp.to})
		default:
			out = append(out, advisory.Event{Fixed: sp.to})
		}
	}
	return out
}

// next returns the lowest semantic version above v.
func next(v string) string {
	core, build, _ := strings.Cut(v, "+")
	_ = build // has no part in the order
	if strings.Contains(core, "-") {
		return core + ".0"
	}
	i := strings.LastIndexByte(core, '.')
	return core[:i+1] + increment(core[i+1:]) + "-0"
}

// outside returns what lies in none of the spans.
func outside(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int {
		return cmp.Or(compareFrom(a.from, b.from), compareFrom(a.to, b.to))
	})
	var out []span
	at := span{} // from here on nothing is covered yet
	for _, sp := range spans {
		if sp.from != "" && reaches(at, sp) {
			out = append(out, span{from: at.from, fromOpen: at.fromOpen, to: sp.from, toIncluded: sp.fromOpen})
		}
		if sp.to == "" {
			return out
		}
		if c := compareFrom(sp.to, at.from); c > 0 || (c == 0 && sp.toIncluded) {
			at = span{from: sp.to, fromOpen: sp.toIncluded}
		}
	}
	return append(out, at)
}

// reaches reports whether there is something between at's beginning and sp's.
func reaches(at, sp span) bool {
	c := compareFrom(at.from, sp.from)
	return c < 0 || (c == 0 && !at.fromOpen && sp.fromOpen)
}

// compareFrom compares semantic versions; "" is before all of them.
func compareFrom(a, b string) int {
	if a == "" || b == "" {
		return cmp.Compare(len(a), len(b))
	}
	return gosemver.Compare("v"+a, "v"+b)
}
