package advisory

import (
	"cmp"
	"fmt"
	"strings"
)

// rpmVersion is a version of an RPM package (rpm-version(7)):
// [epoch:]version[-release].
type rpmVersion struct{ epoch, version, release string }

func parseRPM(version string) (v rpmVersion, err error) {
	v.epoch, v.version = epoch(version)
	if i := strings.LastIndexByte(v.version, '-'); i >= 0 {
		v.version, v.release = v.version[:i], v.version[i+1:]
		if v.release == "" {
			return v, fmt.Errorf("no release after the hyphen")
		}
	}
	if v.version == "" {
		return v, fmt.Errorf("no version before the release")
	}
	for _, c := range []byte(version) {
		if c <= ' ' || c >= 0x7f {
			return v, fmt.Errorf("character %q is not allowed", c)
		}
	}
	return v, nil
}

func (v rpmVersion) compare(o rpmVersion) int {
	return cmp.Or(
		compareDigits(v.epoch, o.epoch),
		compareRPM(v.version, o.version),
		compareRPM(v.release, o.release),
	)
}

// compareRPM compares segment by segment. A tilde sorts below the end of a
// version, a caret above it but below any further segment; everything else that
// is neither digit nor letter only separates.
func compareRPM(a, b string) int {
	for {
		a, b = rpmTrim(a), rpmTrim(b)
		if c, decided := rpmMark(a, b); decided {
			return c
		}
		if a == "" || b == "" {
			return cmp.Compare(len(a), len(b))
		}
		if a[0] == '~' || a[0] == '^' { // both: rpmMark found no difference
			a, b = a[1:], b[1:]
			continue
		}
		n, m := digits(a), digits(b)
		if (n > 0) != (m > 0) {
			return cmp.Compare(n, m) // numbers are newer than letters
		}
		if n == 0 {
			n, m = letters(a), letters(b)
			if c := strings.Compare(a[:n], b[:m]); c != 0 {
				return c
			}
		} else if c := compareDigits(a[:n], b[:m]); c != 0 {
			return c
		}
		a, b = a[n:], b[m:]
	}
}

// rpmTrim removes separators from the start of s.
func rpmTrim(s string) string {
	for s != "" && !isDigit(s[0]) && !isLetter(s[0]) && s[0] != '~' && s[0] != '^' {
		s = s[1:]
	}
	return s
}

// rpmMark compares the rest of two versions if one of them, but not the other,
// goes on with a tilde or a caret.
func rpmMark(a, b string) (order int, decided bool) {
	x, y := rpmRank(a, b), rpmRank(b, a)
	return cmp.Compare(x, y), x != y && (x != 0 || y != 0)
}

// rpmRank orders a tilde below everything, and a caret above the other's end
// and below the other's next segment.
func rpmRank(s, other string) int {
	switch {
	case strings.HasPrefix(s, "~"):
		return -2
	case !strings.HasPrefix(s, "^"):
		return 0
	case other == "":
		return 1
	case strings.HasPrefix(other, "^"):
		return 0
	}
	return -1
}

func letters(s string) int {
	n := 0
	for n < len(s) && isLetter(s[n]) {
		n++
	}
	return n
}
