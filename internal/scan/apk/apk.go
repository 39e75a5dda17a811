// Package apk reads the database of installed packages of Alpine and its kin,
// lib/apk/db/installed (apk-tools, apk-v2(5)).
package apk

import (
	"bufio"
	"context"
	"io"
	"strings"

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
func (Extractor) Version() int { return 1 }

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

// record is one package, and the directory that its files are listed under.
type record struct {
	inventory.Component
	dir    string
	origin string
	owned  []string
}

func parse(r io.Reader) (found inventory.Found, err error) {
	var p record
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), lineSize)
	for lines.Scan() {
		line := lines.Text()
		if line == "" {
			if err := p.flush(&found); err != nil {
				return found, err
			}
			p = record{}
			continue
		}
		if len(line) < 2 || line[1] != ':' {
			return found, fault.Errorf(fault.Invalid, "line %.80q is not FIELD:VALUE", line)
		}
		p.field(line[0], line[2:])
	}
	if err := lines.Err(); err != nil {
		return found, err
	}
	return found, p.flush(&found)
}

func (p *record) field(name byte, value string) {
	switch name {
	case 'P':
		p.Name = value
	case 'V':
		p.Version = value
	case 'A':
		p.Arch = value
	case 'o':
		p.origin = value
	case 'L':
		p.Licences = []string{value}
	case 'F':
		p.dir = value
	case 'R':
		if file := p.dir + "/" + value; scan.Ownable(file) {
			p.owned = append(p.owned, strings.TrimPrefix(file, "/"))
		}
	}
}

// flush adds the package to what was found.
func (p *record) flush(found *inventory.Found) error {
	if p.Name == "" {
		if p.Version != "" || p.dir != "" {
			return fault.Errorf(fault.Invalid, "a record names no package")
		}
		return nil
	}
	p.Kind, p.Type = inventory.OS, inventory.Apk
	p.SourceName, p.SourceVersion = p.origin, p.Version
	if p.SourceName == "" {
		p.SourceName = p.Name
	}
	found.Components = append(found.Components, p.Component)
	for _, file := range p.owned {
		found.Owned = append(found.Owned, inventory.Owned{Path: file, Package: p.Name, Type: inventory.Apk})
	}
	return nil
}
