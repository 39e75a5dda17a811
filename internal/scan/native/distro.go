package native

import (
	"regexp"
	"strings"

	"plimsoll/internal/inventory"
)

// distroMarks are texts that stand in versions of a distribution's packages:
// security updates of Debian ("+deb12u5") and all packages of Ubuntu that differ
// from Debian's ("ubuntu0.22.04.1").
var distroMarks = []string{"deb10u", "deb11u", "deb12u", "deb13u", "deb14u", "ubuntu"}

var (
	debianUpdate = regexp.MustCompile(`[+~]deb[0-9]+u[0-9]+`)
	ubuntuUpdate = regexp.MustCompile(`ubuntu[0-9]`)
	alpineBuild  = regexp.MustCompile(`^[0-9][0-9a-z._]*-r[0-9]+$`)
	rpmRelease   = regexp.MustCompile(`\.(el[0-9]+|fc[0-9]+|amzn[0-9]+|azl[0-9]+)`)
	binaryBuild  = regexp.MustCompile(`\+b[0-9]+$`) // of Debian: built again from the same source
	debRevision  = regexp.MustCompile(`^(?:[0-9]+:)?[0-9][0-9A-Za-z.+~:-]*-[0-9A-Za-z.+~]+$`)
)

// packaged says whose package a full version is of: the type and namespace of its
// package URL; ok is false if the version tells none. With debian, a version of
// Debian's form is taken for Debian's.
func packaged(version string, debian bool) (t inventory.Type, namespace string, ok bool) {
	switch {
	case ubuntuUpdate.MatchString(version):
		return inventory.Deb, "ubuntu", debian
	case debianUpdate.MatchString(version):
		return inventory.Deb, "debian", debian
	case alpineBuild.MatchString(version):
		return inventory.Apk, "alpine", true
	case rpmRelease.MatchString(version):
		return "", "", false // of many distributions that share the form
	case debRevision.MatchString(version):
		return inventory.Deb, "debian", debian
	}
	return "", "", false
}

// full returns the distribution's full version in a sighting, or one of those
// that stand elsewhere in the file and continue its version.
func (s *sighting) full(elsewhere []string) string {
	switch {
	case s.distro != "":
		return s.distro
	case s.revision != "":
		return s.version + "-" + s.revision
	}
	for _, v := range elsewhere {
		upstream := v
		if _, after, ok := strings.Cut(v, ":"); ok {
			upstream = after
		}
		if rest, ok := strings.CutPrefix(upstream, s.version); ok && len(rest) > 1 && (rest[0] == '-' || rest[0] == '+' || rest[0] == '~') && strings.Contains(rest, "-") {
			return v
		}
	}
	return ""
}
