package advisory

import (
	"cmp"
	"fmt"
	"strings"

	"deps.dev/util/semver"
	gosemver "golang.org/x/mod/semver"

	"plimsoll/internal/fault"
)

// maxVersion bounds the length of a version in bytes.
const maxVersion = 512

// Order compares two versions of one ecosystem: negative if a is older than b,
// 0 if they are equal, positive if a is newer. Over the versions that it takes
// it is a total order. The error says which of the two the ecosystem could not
// have written.
type Order func(a, b string) (int, error)

// OrderOf returns the order of an ecosystem's versions, or an Invalid error if
// it is not known here.
func OrderOf(e Ecosystem) (Order, error) {
	switch e.Family() {
	case "Debian", "Ubuntu":
		return by(parseDpkg, dpkgVersion.compare), nil
	case "AlmaLinux", "Rocky Linux", "Red Hat", "openSUSE", "SUSE":
		return by(parseRPM, rpmVersion.compare), nil
	case "Alpine":
		return by(parseApk, apkVersion.compare), nil
	case string(Go):
		return by(parseGo, gosemver.Compare), nil
	case string(NPM):
		return by(parser(semver.NPM), (*semver.Version).Compare), nil
	case string(PyPI):
		return by(parser(semver.PyPI), (*semver.Version).Compare), nil
	case string(Crates):
		return by(parser(semver.Cargo), (*semver.Version).Compare), nil
	case string(Maven):
		return by(parser(semver.Maven), (*semver.Version).Compare), nil
	case string(NuGet):
		return by(parser(semver.NuGet), (*semver.Version).Compare), nil
	case string(Gems):
		return by(parser(semver.RubyGems), (*semver.Version).Compare), nil
	}
	return nil, fault.Errorf(fault.Invalid, "the version order of ecosystem %q is not known", e)
}

// by makes an order of a parser and a comparison of what it returns.
func by[V any](parse func(string) (V, error), compare func(a, b V) int) Order {
	return func(a, b string) (int, error) {
		if len(a) > maxVersion || len(b) > maxVersion {
			return 0, fmt.Errorf("a version is longer than %d bytes", maxVersion)
		}
		x, err := parse(a)
		if err != nil {
			return 0, fmt.Errorf("version %q: %w", a, err)
		}
		y, err := parse(b)
		if err != nil {
			return 0, fmt.Errorf("version %q: %w", b, err)
		}
		return compare(x, y), nil
	}
}

// parser parses complete versions of a system; a pattern such as "1.x" is not
// one.
func parser(s semver.System) func(string) (*semver.Version, error) {
	return func(version string) (*semver.Version, error) {
		v, err := s.Parse(version)
		if err == nil && v.IsWildcard() {
			return nil, fmt.Errorf("a pattern, not a version")
		}
		return v, err
	}
}

// parseGo returns a module's version with its "v", which OSV leaves out.
func parseGo(version string) (string, error) {
	v := "v" + strings.TrimPrefix(version, "v")
	if !gosemver.IsValid(v) {
		return "", fmt.Errorf("not a semantic version")
	}
	return v, nil
}

// digits returns the length of the run of decimal digits at the start of s.
func digits(s string) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isLetter(c byte) bool { return (c|0x20) >= 'a' && (c|0x20) <= 'z' }

// compareDigits compares two runs of decimal digits of any length by value.
func compareDigits(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// epoch splits "1:2.3" into "1" and "2.3"; there is none if the part before the
// first colon is not a number.
func epoch(version string) (string, string) {
	if n := digits(version); n > 0 && n < len(version) && version[n] == ':' {
		return version[:n], version[n+1:]
	}
	return "", version
}
