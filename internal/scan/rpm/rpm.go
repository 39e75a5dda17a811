// Package rpm reads the package databases of rpm in all three of its forms:
// Berkeley DB hash ("Packages"), rpm's own ndb ("Packages.db") and SQLite
// ("rpmdb.sqlite").
//
// The readers are small and know only what rpm writes. They visit each page
// once and return no more bytes than the file has, so that a database made to
// loop or to grow cannot; and they never run SQL, so that one made of views and
// triggers has nothing to run.
package rpm

import (
	"context"
	"fmt"
	"io"
	"path"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

// Extractor is a [scan.Extractor] of rpm packages.
type Extractor struct{}

var _ scan.Extractor = Extractor{}

// folders are where databases lie, by distribution and age.
var folders = map[string]bool{"var/lib/rpm": true, "usr/lib/sysimage/rpm": true, "usr/share/rpm": true}

const wal = "rpmdb.sqlite-wal"

// maxVendor is the most of a vendor's name that is kept, bytes.
const maxVendor = 200

// Name implements [scan.Extractor].
func (Extractor) Name() string { return "rpm" }

// Version implements [scan.Extractor].
func (Extractor) Version() int { return 3 }

// Wants implements [scan.Extractor].
func (Extractor) Wants(e image.Entry, _ []byte) bool {
	if !folders[path.Dir(e.Path)] {
		return false
	}
	switch path.Base(e.Path) {
	case "Packages", "Packages.db", "rpmdb.sqlite":
		return true
	case wal:
		return e.Size > 0
	}
	return false
}

// Extract implements [scan.Extractor].
func (Extractor) Extract(ctx context.Context, f scan.File) (found inventory.Found, err error) {
	if path.Base(f.Path) == wal {
		return found, fault.Errorf(fault.Invalid, "the package database was not closed: changes to it lie in its write-ahead log")
	}
	content, err := f.Spill()
	if err != nil {
		return found, err
	}
	read, err := format(content)
	if err != nil {
		return found, err
	}
	var claims scan.Claims
	err = read(&source{ReaderAt: content, left: content.Size()}, func(header []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		p, err := parseHeader(header)
		if err != nil {
			return err
		}
		if p.name == "gpg-pubkey" { // a key that rpm keeps as if it were a package
			return nil
		}
		if found.Components = append(found.Components, p.component()); len(found.Components) > scan.MaxComponents {
			return fault.Errorf(fault.Invalid, "more than %d packages", scan.MaxComponents)
		}
		return p.claim(&claims)
	})
	found.Owned = claims.Owned()
	return found, err
}

// reader calls fn with the header of each package. The bytes are valid during
// the call.
type reader func(s *source, fn func(header []byte) error) error

// format tells by content which form the database has.
func format(r io.ReaderAt) (reader, error) {
	head := make([]byte, 16)
	if n, err := r.ReadAt(head, 0); n < len(head) {
		return nil, fault.Errorf(fault.Invalid, "not a package database: %w", err)
	}
	switch {
	case string(head) == "SQLite format 3\x00":
		return readSQLite, nil
	case string(head[:4]) == "RpmP":
		return readNDB, nil
	case isBDB(head):
		return readBDB, nil
	}
	return nil, fault.Errorf(fault.Invalid, "a package database in no form that is known")
}

// source is a database that is read. What it gives out as headers, all together,
// is never more than its size.
type source struct {
	scan.ReaderAt
	left int64
	buf  []byte
}

// take returns a buffer for a header of n bytes.
func (s *source) take(n int64) ([]byte, error) {
	if n < 0 || n > s.left {
		return nil, fault.Errorf(fault.Invalid, "the headers are larger than the database")
	}
	s.left -= n
	if int64(cap(s.buf)) < n {
		s.buf = make([]byte, n)
	}
	return s.buf[:n], nil
}

// at reads all of b from the given place.
func (s *source) at(b []byte, off int64) error {
	if n, err := s.ReadAt(b, off); n < len(b) {
		return fault.Errorf(fault.Invalid, "the database ends at %d, inside of something: %w", off+int64(n), err)
	}
	return nil
}

// component returns the package as a component.
func (p *pkg) component() inventory.Component {
	c := inventory.Component{
		Kind: inventory.OS, Type: inventory.RPM, Name: p.name, Version: p.version + "-" + p.release, Arch: p.arch, Module: p.module,
		Vendor: scan.Plain(p.vendor, maxVendor),
	}
	if p.hasEpoch {
		c.Version = fmt.Sprintf("%d:%s", p.epoch, c.Version)
	}
	c.SourceName, c.SourceVersion = sourceOf(p.source)
	if p.licence != "" {
		c.Licences = []string{p.licence}
	}
	return c
}

// sourceOf splits the name of a source package's file,
// "bash-5.1.8-9.el9.src.rpm".
func sourceOf(file string) (name, version string) {
	s, ok := strings.CutSuffix(file, ".src.rpm")
	if !ok {
		s, ok = strings.CutSuffix(file, ".nosrc.rpm")
	}
	if !ok {
		return "", ""
	}
	release := strings.LastIndexByte(s, '-')
	if release <= 0 {
		return "", ""
	}
	v := strings.LastIndexByte(s[:release], '-')
	if v <= 0 {
		return "", ""
	}
	return s[:v], s[v+1:]
}
