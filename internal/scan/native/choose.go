package native

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// The ways to prefer a version.
const (
	preferFirst   = "first"   // in the file
	preferLast    = "last"    // in the file
	preferLongest = "longest" // text
	preferHighest = "highest" // number by number
)

// choose returns which of the sightings count: one of each version if the product
// may be in a file more than once, else one. Without a preference that is the
// surest, then the most frequent, then that of the first pattern, then the first
// in the file.
func (p *Product) choose(all []sighting) []sighting {
	if len(all) == 0 {
		return nil
	}
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b sighting) int {
		return cmp.Or(
			p.preferred(&a, &b),
			-cmp.Compare(a.confidence, b.confidence),
			-cmp.Compare(times(all, &a), times(all, &b)),
			cmp.Compare(a.pattern, b.pattern),
			-cmp.Compare(len(a.distro)+len(a.revision), len(b.distro)+len(b.revision)),
			cmp.Compare(a.at, b.at),
		)
	})
	for i := range all {
		merge(&all[i], all)
	}
	if !p.Multiple {
		return all[:1]
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(all, func(s sighting) bool {
		again := seen[s.version]
		seen[s.version] = true
		return again
	})
}

// merge gives s what other sightings of the same version know.
func merge(s *sighting, all []sighting) {
	for i := range all {
		o := &all[i]
		if o.version != s.version {
			continue
		}
		s.own = s.own || o.own
		if s.distro == "" {
			s.distro = o.distro
		}
		if s.revision == "" {
			s.revision = o.revision
		}
	}
}

// times returns how often the version of s was seen by its pattern's equals.
func times(all []sighting, s *sighting) (n int) {
	for i := range all {
		if all[i].version == s.version {
			n += all[i].times
		}
	}
	return n
}

func (p *Product) preferred(a, b *sighting) int {
	switch p.Prefer {
	case preferFirst:
		return cmp.Compare(a.at, b.at)
	case preferLast:
		return cmp.Compare(b.at, a.at)
	case preferLongest:
		return cmp.Compare(len(b.version), len(a.version))
	case preferHighest:
		return compareNumbers(b.version, a.version)
	}
	return 0
}

// compareNumbers compares versions number by number, and what is between the
// numbers as text.
func compareNumbers(a, b string) int {
	for a != "" && b != "" {
		x, restA, numberA := part(a)
		y, restB, numberB := part(b)
		c := strings.Compare(x, y)
		if numberA && numberB {
			n, _ := strconv.ParseUint(x, 10, 64) // too large is the largest
			m, _ := strconv.ParseUint(y, 10, 64)
			c = cmp.Compare(n, m)
		}
		if c != 0 {
			return c
		}
		a, b = restA, restB
	}
	return cmp.Compare(len(a), len(b))
}

// part cuts the number or the text off that s begins with.
func part(s string) (part, rest string, number bool) {
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	n := 1
	for n < len(s) && digit(s[n]) == digit(s[0]) {
		n++
	}
	return s[:n], s[n:], digit(s[0])
}
