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

// targetOf returns what to ask about c; ok is false if advisories cannot speak
// of it: a distribution's package owns it, or it is a Go main module that was
// built without a version.
func targetOf(c *inventory.Component, d inventory.Distro) (t target, ok bool) {
	switch c.Type {
	case inventory.Deb, inventory.Apk, inventory.RPM:
		return distroTarget(c, d), true
	case inventory.Golang:
		t = target{advisory.Go, joined(c), goVersion(c)}
		return t, c.Owner == "" && t.version != ""
	case inventory.NPM:
		t = target{advisory.NPM, joined(c), c.Version}
	case inventory.PyPI:
		t = target{advisory.PyPI, advisory.PyPI.PackageName(c.Name), c.Version}
	case "cargo":
		t = target{advisory.Crates, c.Name, c.Version}
	case "", "generic": // recognised by content; no advisory speaks of it
		return t, false
	default:
		t = target{advisory.Ecosystem(c.Type), joined(c), c.Version} // uncovered, and said so
	}
	return t, c.Owner == ""
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
