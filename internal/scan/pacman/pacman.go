// Package pacman reads the package database of Arch Linux and its kin: a folder
// for each package in var/lib/pacman/local, with its description (desc) and a
// compressed list of its files with their sums (mtree), as libalpm writes them.
package pacman

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

// Extractor is a [scan.Extractor] of pacman's packages.
type Extractor struct{}

var _ scan.Extractor = Extractor{}

const (
	root     = "var/lib/pacman/local/"
	maxSize  = 16 << 20 // bytes of one file as it lies in the image
	lineSize = 64 << 10 // bytes of one line
	maxText  = 200      // bytes of a packager's name
	maxTerms = 100      // licences of one package
)

// Name implements [scan.Extractor].
func (Extractor) Name() string { return "pacman" }

// Version implements [scan.Extractor].
func (Extractor) Version() int { return 1 }

// Wants implements [scan.Extractor].
func (Extractor) Wants(e image.Entry, _ []byte) bool {
	_, base := split(e.Path)
	return base == "desc" || base == "mtree"
}

// split returns the folder of a package and the name of a file in it.
func split(p string) (folder, base string) {
	rest, ok := strings.CutPrefix(p, root)
	if !ok {
		return "", ""
	}
	folder, base, _ = strings.Cut(rest, "/")
	return folder, base
}

// Extract implements [scan.Extractor].
func (Extractor) Extract(_ context.Context, f scan.File) (found inventory.Found, err error) {
	if f.Size > maxSize {
		return found, fault.Errorf(fault.Invalid, "larger than %d bytes", maxSize)
	}
	folder, base := split(f.Path)
	if base == "mtree" {
		var claims scan.Claims
		err = mtree(f, packageOf(folder), &claims)
		found.Owned = claims.Owned()
		return found, err
	}
	c, err := describe(f)
	if err == nil {
		found.Components = []inventory.Component{c}
	}
	return found, err
}

// packageOf returns the name in NAME-VERSION-RELEASE; neither of the other two
// holds a hyphen.
func packageOf(folder string) string {
	for range 2 {
		if i := strings.LastIndexByte(folder, '-'); i > 0 {
			folder = folder[:i]
		}
	}
	return folder
}

// describe reads desc: names between percent signs, each before the lines of its
// value, up to an empty one.
func describe(r io.Reader) (inventory.Component, error) {
	c := inventory.Component{Kind: inventory.OS, Type: inventory.ALPM}
	lines := newLines(r)
	field := ""
	for lines.Scan() {
		line := lines.Text()
		switch {
		case line == "":
			field = ""
		case field == "":
			field = line
		default:
			if err := set(&c, field, line); err != nil {
				return c, err
			}
		}
	}
	if err := ended(lines); err != nil {
		return c, err
	}
	if c.Name == "" || c.Version == "" {
		return c, fault.Errorf(fault.Invalid, "it names no package or no version")
	}
	if c.SourceName == "" {
		c.SourceName = c.Name
	}
	c.SourceVersion = c.Version
	return c, nil
}

// set takes one line of a field's value.
func set(c *inventory.Component, field, value string) error {
	var to *string
	switch field {
	case "%NAME%":
		to = &c.Name
	case "%VERSION%":
		to = &c.Version
	case "%BASE%":
		to = &c.SourceName
	case "%ARCH%":
		to = &c.Arch
	case "%PACKAGER%":
		c.Vendor = scan.Plain(value, maxText)
		return nil
	case "%LICENSE%":
		if len(c.Licences) < maxTerms {
			c.Licences = append(c.Licences, value)
		}
		return nil
	default:
		return nil
	}
	if *to != "" {
		return fault.Errorf(fault.Invalid, "the field %q of package %q has two values", field, c.Name)
	}
	*to = value
	return nil
}

func newLines(r io.Reader) *bufio.Scanner {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4<<10), lineSize)
	return lines
}

// ended returns why reading ended, nil at the end of the file.
func ended(lines *bufio.Scanner) error {
	err := lines.Err()
	if errors.Is(err, bufio.ErrTooLong) {
		return fault.Errorf(fault.Invalid, "a line is longer than %d bytes", lineSize)
	}
	return err
}
