// Package apk reads the database of installed packages of Alpine and its kin,
// lib/apk/db/installed (apk-tools, apk-v2(5)).
package apk

import (
	"bufio"
	"context"
	"io"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

// Extractor is a [scan.Extractor] of apk packages.
type Extractor struct{}

var _ scan.Extractor = Extractor{}

const (
	maxSize  = 256 << 20 // bytes of the database
	lineSize = 1 << 20   // bytes of one line: dependencies can be long
)

// Name implements [scan.Extractor].
func (Extractor) Name() string { return "apk" }

// Version implements [scan.Extractor].
func (Extractor) Version() int { return 2 }

// Wants implements [scan.Extractor].
func (Extractor) Wants(e image.Entry, _ []byte) bool {
	return e.Path == "lib/apk/db/installed" || e.Path == "usr/lib/apk/db/installed"
}

// Extract implements [scan.Extractor].
func (Extractor) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	if f.Size > maxSize {
		return inventory.Found{}, fault.Errorf(fault.Invalid, "larger than %d bytes", maxSize)
	}
	return parse(f)
}

// database is what was read so far: the packages, and the one that is being
// read, with the directory that its files are listed under.
type database struct {
	packages []inventory.Component
	owned    scan.Owned
	inventory.Component
	dir string
}

func parse(r io.Reader) (inventory.Found, error) {
	var db database
	err := db.read(r)
	return inventory.Found{Components: db.packages, Owned: db.owned.List}, err
}

func (db *database) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), lineSize)
	for lines.Scan() {
		line := lines.Text()
		var err error
		switch {
		case line == "":
			err = db.flush()
		case len(line) < 2 || line[1] != ':':
			err = fault.Errorf(fault.Invalid, "line %.80q is not FIELD:VALUE", line)
		default:
			err = db.field(line[0], line[2:])
		}
		if err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return db.flush()
}

// field takes what one line says. A package has one name, version, architecture
// and origin: of two, readers would take different ones.
func (db *database) field(name byte, value string) error {
	var to *string
	switch name {
	case 'P':
		to = &db.Name
	case 'V':
		to = &db.Version
	case 'A':
		to = &db.Arch
	case 'o':
		to = &db.SourceName
	case 'L':
		db.Licences = []string{value}
	case 'F':
		db.dir = value
	case 'R':
		return db.owned.Add(db.dir, value, db.Name, inventory.Apk)
	}
	if to == nil {
		return nil
	}
	if *to != "" {
		return fault.Errorf(fault.Invalid, "the field %q of package %q is there twice", name, db.Name)
	}
	*to = value
	return nil
}

// flush adds the package that was read to the others.
func (db *database) flush() error {
	c := db.Component
	if c.Name == "" {
		if c.Version != "" || db.dir != "" {
			return fault.Errorf(fault.Invalid, "a record names no package")
		}
		return nil
	}
	c.Kind, c.Type, c.SourceVersion = inventory.OS, inventory.Apk, c.Version
	if c.SourceName == "" {
		c.SourceName = c.Name
	}
	if db.packages = append(db.packages, c); len(db.packages) > scan.MaxComponents {
		return fault.Errorf(fault.Invalid, "more than %d packages", scan.MaxComponents)
	}
	db.Component, db.dir = inventory.Component{}, ""
	return nil
}
