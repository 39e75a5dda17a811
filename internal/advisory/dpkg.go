package advisory

import (
	"cmp"
	"fmt"
	"strings"
)

// dpkgVersion is a version of a Debian package (deb-version(7)):
// [epoch:]upstream[-revision].
type dpkgVersion struct{ epoch, upstream, revision string }

func parseDpkg(version string) (v dpkgVersion, err error) {
	v.epoch, v.upstream = epoch(version)
	if i := strings.LastIndexByte(v.upstream, '-'); i >= 0 {
		v.upstream, v.revision = v.upstream[:i], v.upstream[i+1:]
	}
	if v.upstream == "" {
		return v, fmt.Errorf("no upstream version")
	}
	for _, c := range []byte(v.upstream + v.revision) {
		if !isDigit(c) && !isLetter(c) && !strings.ContainsRune(".+-~:_", rune(c)) {
			return v, fmt.Errorf("character %q is not allowed", c)
		}
	}
	return v, nil
}

func (v dpkgVersion) compare(o dpkgVersion) int {
	return cmp.Or(
		compareDigits(v.epoch, o.epoch),
		compareDpkg(v.upstream, o.upstream),
		compareDpkg(v.revision, o.revision),
	)
}

// compareDpkg compares runs of non-digits and runs of digits by turns
// (Debian policy 5.6.12, "Version").
func compareDpkg(a, b string) int {
	for a != "" || b != "" {
		for (a != "" && !isDigit(a[0])) || (b != "" && !isDigit(b[0])) {
			if c := cmp.Compare(dpkgWeight(a), dpkgWeight(b)); c != 0 {
				return c
			}
			a, b = a[1:], b[1:]
		}
		n, m := digits(a), digits(b)
		if c := compareDigits(a[:n], b[:m]); c != 0 {
			return c
		}
		a, b = a[n:], b[m:]
	}
	return 0
}

// dpkgWeight orders what may stand at one place: a tilde, then the end of the
// part or a digit, then letters, then everything else.
func dpkgWeight(s string) int {
	switch {
	case s == "" || isDigit(s[0]):
		return 0
	case s[0] == '~':
		return -1
	case isLetter(s[0]):
		return int(s[0])
	}
	return int(s[0]) + 256
}
