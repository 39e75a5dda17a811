// Package dpkg reads Debian's package database: var/lib/dpkg/status, the
// folder status.d that images without dpkg have in its place, and the lists of
// files that say which package brought a file (dpkg(1), deb-control(5)).
package dpkg

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
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
	foreign  = "usr/lib/node_modules/" // Debian's own npm packages lie in usr/share/nodejs
	maxSize  = 256 << 20               // bytes of one file
	lineSize = 64 << 10                // bytes of one line that is looked at
)

// Name implements [scan.Extractor].
func (Extractor) Name() string { return "dpkg" }

// Version implements [scan.Extractor].
func (Extractor) Version() int { return 2 }

// Wants implements [scan.Extractor].
func (Extractor) Wants(e image.Entry, _ []byte) bool {
	name, ok := strings.CutPrefix(e.Path, root)
	return ok && (name == "status" || path.Dir(name) == "status.d" || isList(name))
}

func isList(name string) bool {
	return path.Dir(name) == "info" && strings.HasSuffix(name, ".list")
}

// Extract implements [scan.Extractor].
func (Extractor) Extract(_ context.Context, f scan.File) (found inventory.Found, err error) {
	if f.Size > maxSize {
		return found, fault.Errorf(fault.Invalid, "larger than %d bytes", maxSize)
	}
	name := strings.TrimPrefix(f.Path, root)
	base := path.Base(name)
	switch {
	case isList(name):
		pkg, _, _ := strings.Cut(strings.TrimSuffix(base, ".list"), ":")
		found.Owned, err = owned(f, pkg, 0)
	case strings.HasSuffix(base, ".md5sums"):
		found.Owned, err = owned(f, strings.TrimSuffix(base, ".md5sums"), len("d41d8cd98f00b204e9800998ecf8427e  "))
	default:
		found.Components, err = parse(f, name == "status")
	}
	return found, err
}

// stanza is one paragraph of the database, as far as it is needed.
type stanza struct{ pkg, version, arch, source, status string }

// parse reads paragraphs. In the status file one without the field Status is
// malformed; the files in status.d are control files, which have none.
func parse(r io.Reader, statusFile bool) ([]inventory.Component, error) {
	var out []inventory.Component
	var s stanza
	err := lines(r, func(line []byte, whole bool) error {
		if len(bytes.TrimSpace(line)) == 0 {
			c, err := s.component(statusFile)
			if err == nil && c.Name != "" {
				out = append(out, c)
			}
			if len(out) > scan.MaxComponents {
				return fault.Errorf(fault.Invalid, "more than %d packages", scan.MaxComponents)
			}
			s = stanza{}
			return err
		}
		return s.field(line, whole)
	})
	if err != nil {
		return out, err
	}
	c, err := s.component(statusFile)
	if err == nil && c.Name != "" {
		out = append(out, c)
	}
	return out, err
}

// field takes what one line says. Continuation lines say nothing that is needed.
func (s *stanza) field(line []byte, whole bool) error {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || line[0] == ' ' || line[0] == '\t' {
		return nil
	}
	var to *string
	switch strings.ToLower(string(name)) {
	case "package":
		to = &s.pkg
	case "version":
		to = &s.version
	case "architecture":
		to = &s.arch
	case "source":
		to = &s.source
	case "status":
		to = &s.status
	default:
		return nil
	}
	if !whole {
		return fault.Errorf(fault.Invalid, "the field %q of package %q is longer than %d bytes", name, s.pkg, lineSize)
	}
	if *to != "" {
		return fault.Errorf(fault.Invalid, "the field %q of package %q is there twice", name, s.pkg)
	}
	*to = string(bytes.TrimSpace(value))
	return nil
}

// component returns the package, or an empty component if it is not there.
func (s *stanza) component(statusFile bool) (inventory.Component, error) {
	if *s == (stanza{}) {
		return inventory.Component{}, nil
	}
	if s.pkg == "" {
		return inventory.Component{}, fault.Errorf(fault.Invalid, "a paragraph names no package")
	}
	if statusFile && !present(s.status) {
		return inventory.Component{}, nil
	}
	c := inventory.Component{
		Kind: inventory.OS, Type: inventory.Deb, Name: s.pkg, Version: s.version, Arch: s.arch,
		SourceName: s.pkg, SourceVersion: s.version,
	}
	if s.source != "" {
		name, rest, ok := strings.Cut(s.source, " ")
		c.SourceName = name
		if version := strings.Trim(rest, " ()"); ok && version != "" {
			c.SourceVersion = version
		}
	}
	return c, nil
}

// present reports whether files of a package with this status may be there:
// dpkg(1), "Package states". A package that was unpacked and not yet configured,
// or half installed, is as vulnerable as any.
func present(status string) bool {
	words := strings.Fields(status)
	if len(words) != 3 {
		return true // not what dpkg writes: believe that it is there
	}
	switch words[2] {
	case "not-installed", "config-files":
		return false
	}
	return true
}

// owned returns the listed files that another extractor recognises components
// by. Each line has a prefix of skip bytes before the path.
func owned(r io.Reader, pkg string, skip int) ([]inventory.Owned, error) {
	var out scan.Owned
	err := lines(r, func(line []byte, whole bool) error {
		if !whole || len(line) < skip || bytes.Contains(line, []byte(foreign)) {
			return nil
		}
		i := max(bytes.LastIndexByte(line, '/'), skip)
		return out.Add(string(line[skip:i]), string(bytes.TrimPrefix(line[i:], []byte("/"))), pkg, inventory.Deb)
	})
	return out.List, err
}

// lines calls fn with each line without its end. Of a line that is too long, fn
// sees the beginning, and that it is not whole.
func lines(r io.Reader, fn func(line []byte, whole bool) error) error {
	b := bufio.NewReaderSize(r, lineSize)
	for {
		line, err := b.ReadSlice('\n')
		whole := !errors.Is(err, bufio.ErrBufferFull)
		if len(line) > 0 {
			if err := fn(bytes.TrimSuffix(line, []byte("\n")), whole); err != nil {
				return err
			}
		}
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = b.ReadSlice('\n')
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
