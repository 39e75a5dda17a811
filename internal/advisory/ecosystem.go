package advisory

import (
	"regexp"
	"strings"
)

// Ecosystem is where a package comes from, as OSV writes it: "Go", "npm", or
// with a release, "Debian:12" (osv-schema, "affected[].package field").
type Ecosystem string

// The ecosystems without a release whose versions this package orders.
const (
	Go     Ecosystem = "Go"
	NPM    Ecosystem = "npm"
	PyPI   Ecosystem = "PyPI"
	Crates Ecosystem = "crates.io"
	Maven  Ecosystem = "Maven" // names are "group:artifact"
	NuGet  Ecosystem = "NuGet"
	Gems   Ecosystem = "RubyGems"
)

// Overlays are not ecosystems: what is known about single CVEs, kept and asked
// for in the same way, with the CVE as the package's name.
const (
	Exploited  Ecosystem = "kev"      // CISA's catalogue of known exploited vulnerabilities; Published is when it was listed
	Severities Ecosystem = "severity" // CVSS vectors of CVE records
)

// Overlay reports whether e is an overlay and not an ecosystem.
func (e Ecosystem) Overlay() bool { return e == Exploited || e == Severities }

// Family returns the ecosystem without its release: "Debian" of "Debian:12".
func (e Ecosystem) Family() string {
	family, _, _ := strings.Cut(string(e), ":")
	return family
}

// pep503 are the runs that a normalised Python name has as one hyphen.
var pep503 = regexp.MustCompile(`[-_.]+`)

// PackageName returns name as the ecosystem compares names: Python's in lower
// case with single hyphens (PEP 503, "Normalized Names"), all others unchanged.
func (e Ecosystem) PackageName(name string) string {
	if e == PyPI {
		return strings.ToLower(pep503.ReplaceAllString(name, "-"))
	}
	return name
}
