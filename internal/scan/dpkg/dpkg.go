// Package dpkg reads Debian's package database: var/lib/dpkg/status, the
// folder status.d that images without dpkg have in its place, the lists and
// sums of files that say what a package brought, the diversions that say where
// else a file lies, and the licences that machine-readable copyright files name
// (dpkg(1), deb-control(5), dpkg-divert(1), Debian's copyright format 1.0).
package dpkg

import (
	"context"
	"path"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

// Extractor is a [scan.Extractor] of Debian packages.
type Extractor struct{}

var _ scan.Extractor = Extractor{}

const (
	root     = "var/lib/dpkg/"
	maxSize  = 256 << 20 // bytes of one file
	lineSize = 64 << 10  // bytes of one line that is looked at
)

// part is what a file of the database says.
type part uint8

const (
	nothing part = iota
	statusFile
	controlFile // one package's paragraph, in status.d
	list        // paths that a package brought
	sums        // MD5 sums and paths
	diversions
	maintainer // a script that dpkg runs for the package
	copyright
)

// Name implements [scan.Extractor].
func (Extractor) Name() string { return "dpkg" }

// Version implements [scan.Extractor].
func (Extractor) Version() int { return 4 }

// Wants implements [scan.Extractor].
func (Extractor) Wants(e image.Entry, head []byte) bool {
	switch partOf(e.Path) {
	case nothing:
		return false
	case copyright:
		return machineReadable(head)
	case statusFile, controlFile, list, sums, diversions, maintainer:
	}
	return true
}

// partOf tells the parts of the database by their path.
func partOf(p string) part {
	name, ok := strings.CutPrefix(p, root)
	if !ok {
		if strings.HasPrefix(p, docs) && strings.HasSuffix(p, "/copyright") && strings.Count(p, "/") == 4 {
			return copyright
		}
		return nothing
	}
	switch name {
	case "status":
		return statusFile
	case "diversions":
		return diversions
	}
	folder, base, _ := strings.Cut(name, "/")
	if strings.Contains(base, "/") || base == "" {
		return nothing
	}
	if folder != "info" && folder != "status.d" {
		return nothing
	}
	switch path.Ext(base) {
	case ".list":
		return list
	case ".md5sums":
		return sums
	case ".preinst", ".postinst", ".prerm", ".postrm", ".config":
		return maintainer
	case ".conffiles", ".shlibs", ".symbols", ".triggers", ".templates":
		return nothing
	}
	if folder == "status.d" {
		return controlFile // the dots of some names look like an extension
	}
	return nothing
}

// Extract implements [scan.Extractor].
func (Extractor) Extract(_ context.Context, f scan.File) (found inventory.Found, err error) {
	if f.Size > maxSize {
		return found, fault.Errorf(fault.Invalid, "larger than %d bytes", maxSize)
	}
	var claims scan.Claims
	switch p := partOf(f.Path); p {
	case statusFile, controlFile:
		found.Components, err = parse(f, p == statusFile, &claims)
	case list:
		err = listed(f, packageOf(f.Path), &claims)
	case sums:
		err = summed(f, packageOf(f.Path), &claims)
	case diversions:
		err = diverted(f, &claims)
	case maintainer:
		err = claims.AddRunnable([]byte(f.Path), packageOf(f.Path), inventory.Deb, "", nil)
	case copyright:
		found.Terms, err = terms(f, path.Base(path.Dir(f.Path)))
	case nothing:
	}
	found.Owned = claims.Owned()
	return found, err
}

// packageOf returns whose file info/NAME[:ARCH].EXT is.
func packageOf(p string) string {
	base := path.Base(p)
	name, _, _ := strings.Cut(strings.TrimSuffix(base, path.Ext(base)), ":")
	return name
}
