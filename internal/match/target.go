package match

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/mod/module"

	"plimsoll/internal/advisory"
	"plimsoll/internal/inventory"
)

// target is what advisories are asked about for a component.
type target struct {
	ecosystem advisory.Ecosystem
	name      string
	version   string
}

// languages are the ecosystems of advisories by the type of package, as OSV
// names them.
var languages = map[inventory.Type]advisory.Ecosystem{
	inventory.NPM: advisory.NPM, inventory.PyPI: advisory.PyPI, inventory.Cargo: advisory.Crates, inventory.Maven: advisory.Maven,
	inventory.NuGet: advisory.NuGet, inventory.Gem: advisory.Gems, inventory.Composer: "Packagist", inventory.Hex: "Hex", inventory.Pub: "Pub",
	inventory.Swift: "SwiftURL", inventory.CRAN: "CRAN", inventory.Hackage: "Hackage", "bitnami": "Bitnami", "conan": "ConanCenter",
}

// unspoken are the types of which nobody publishes advisories in OSV's form.
var unspoken = map[inventory.Type]bool{
	"": true, inventory.Generic: true, inventory.OTP: true, inventory.Conda: true, inventory.CPAN: true, inventory.LuaRocks: true, inventory.Nix: true, inventory.Brew: true,
}

// Unspoken reports whether no advisories speak of components of c's type: that
// nothing is known about it says nothing.
func Unspoken(c *inventory.Component) bool { return unspoken[c.Type] }

// targetOf returns what to ask about c; ok is false if advisories cannot speak
// of it: a distribution's package owns it, it is loaded from elsewhere, or it is
// a Go main module that was built without a version.
func targetOf(c *inventory.Component, d inventory.Distro) (t target, ok bool) {
	switch {
	case unspoken[c.Type], c.Owner != "", c.Relation == inventory.Links:
		return t, false
	case c.Kind == inventory.Native && c.Type == inventory.Deb:
		return copiedTarget(c, d), true
	}
	switch c.Type {
	case inventory.Deb, inventory.Apk, inventory.RPM:
		return distroTarget(c, d), true
	case inventory.Golang:
		t = target{advisory.Go, joined(c), goVersion(c)}
		return t, t.version != ""
	case inventory.NPM:
		if c.Kind == inventory.Application { // a program's own package.json may bear anybody's name
			return t, false
		}
	case inventory.PyPI:
		return target{advisory.PyPI, advisory.PyPI.PackageName(c.Name), c.Version}, true
	case inventory.Maven:
		return target{advisory.Maven, c.Namespace + ":" + c.Name, c.Version}, true
	default:
	}
	ecosystem, known := languages[c.Type]
	if !known {
		ecosystem = advisory.Ecosystem(c.Type) // uncovered, and said so
	}
	return target{ecosystem, joined(c), c.Version}, true
}

// Debian's and Ubuntu's marks in the versions of what was built for a release.
var (
	debianMark = regexp.MustCompile(`[+~](?:deb)(\d+)u\d+`)
	ubuntuMark = regexp.MustCompile(`ubuntu\d+(?:\.\d+)*~?(\d{2}\.\d{2})(?:\.\d+)?`)
)

// copiedTarget asks about a program or library that somebody copied out of a
// distribution: the release that its version names decides, else that of the
// image if it is of the same distribution.
func copiedTarget(c *inventory.Component, d inventory.Distro) target {
	t := target{advisory.Ecosystem(c.Namespace + " of an unknown release"), cmp.Or(c.SourceName, c.Name), cmp.Or(c.SourceVersion, c.Version)}
	if m := debianMark.FindStringSubmatch(t.version); m != nil && c.Namespace == "debian" {
		t.ecosystem = advisory.Ecosystem("Debian:" + m[1])
	} else if m := ubuntuMark.FindStringSubmatch(t.version); m != nil && c.Namespace == "ubuntu" {
		t.ecosystem = advisory.Ecosystem("Ubuntu:" + m[1])
	} else if d.ID == c.Namespace {
		t.ecosystem = Distribution(d)
	}
	return t
}

// joined returns the name with its namespace, as Go and npm write it.
func joined(c *inventory.Component) string {
	if c.Namespace == "" {
		return c.Name
	}
	return c.Namespace + "/" + c.Name
}

// packaging is the type of the packages that a distribution has.
var packaging = map[string]inventory.Type{
	"Debian": inventory.Deb, "Ubuntu": inventory.Deb, "Alpine": inventory.Apk, "AlmaLinux": inventory.RPM,
}

// distroTarget asks about the source package where advisories do.
func distroTarget(c *inventory.Component, d inventory.Distro) target {
	t := target{Distribution(d), c.Name, c.Version}
	if uses, ok := packaging[t.ecosystem.Family()]; ok && uses != c.Type {
		// An os-release that names another distribution than the packages come
		// from would make them match nothing: nobody's advisories cover them.
		t.ecosystem = advisory.Ecosystem(fmt.Sprintf("%s packages in %s", c.Type, t.ecosystem))
	}
	if c.Type == inventory.RPM { // advisories of RPM distributions name binary packages
		return t
	}
	if c.SourceName != "" {
		t.name = c.SourceName
	}
	if c.SourceVersion != "" {
		t.version = c.SourceVersion
	}
	return t
}

// Distribution returns the ecosystem of a distribution's advisories, as OSV
// names it: "Debian:12", "Alpine:v3.19", "AlmaLinux:9". One that OSV has no name
// for is named as it names itself.
func Distribution(d inventory.Distro) advisory.Ecosystem {
	major, _, _ := strings.Cut(d.VersionID, ".")
	switch d.ID {
	case "debian":
		return advisory.Ecosystem("Debian:" + major)
	case "ubuntu":
		return advisory.Ecosystem("Ubuntu:" + d.VersionID)
	case "alpine":
		parts := strings.SplitN(d.VersionID, ".", 3)
		return advisory.Ecosystem("Alpine:v" + strings.Join(parts[:min(2, len(parts))], "."))
	case "almalinux":
		return advisory.Ecosystem("AlmaLinux:" + major)
	case "":
		return "a distribution that does not say its name"
	}
	return advisory.Ecosystem(d.ID + ":" + d.VersionID)
}

// goRelease is the version of a Go toolchain: go1.22.1, go1.23rc1, with what a
// distributor added after it.
var goRelease = regexp.MustCompile(`^(?:go|v)?(\d+\.\d+)(\.\d+)?(?:(rc|beta)(\d+))?(?:[- +].*)?$`)

// goSemverForm is a release that is written as a semantic version already.
var goSemverForm = regexp.MustCompile(`^v?\d+\.\d+\.\d+(-(rc|beta)\.\d+)?$`)

// goVersion returns a module's version without its "v", or the standard
// library's as a semantic version; "" if c has none that can be compared: a
// main module that was built outside a version ("(devel)"), or where the
// history was cut off and the version says nothing but a date (v0.0.0-…). A
// toolchain that does not say its version is one that cannot be compared, which
// is a finding.
func goVersion(c *inventory.Component) string {
	v := c.Version
	if c.Name == "stdlib" && c.Namespace == "" {
		return cmp.Or(goSemver(v), "unknown")
	}
	if v == "(devel)" || v == "" {
		return ""
	}
	if c.Kind == inventory.Application {
		plain, _, _ := strings.Cut(v, "+")
		if base, err := module.PseudoVersionBase(plain); err == nil && base == "" {
			return ""
		}
	}
	return strings.TrimPrefix(v, "v")
}

// goSemver writes a Go release as the vulnerability database does: 1.23rc1 is
// 1.23.0-rc.1. A development version is "".
func goSemver(v string) string {
	if strings.HasPrefix(v, "devel") {
		return ""
	}
	if goSemverForm.MatchString(v) {
		return strings.TrimPrefix(v, "v")
	}
	m := goRelease.FindStringSubmatch(v)
	if m == nil {
		return v // cannot be compared, which is a finding
	}
	patch := m[2]
	if patch == "" && strings.Contains(v, "-") { // 1.27-3f2a1b: on the way to 1.27
		return m[1] + ".0-0"
	}
	if patch == "" {
		patch = ".0"
	}
	if m[3] != "" {
		return m[1] + patch + "-" + m[3] + "." + m[4]
	}
	return m[1] + patch
}
