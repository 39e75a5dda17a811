package dpkg

import (
	"bytes"
	"io"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

// maxVendor is the most of a maintainer's name that is kept, bytes.
const maxVendor = 200

// stanza is one paragraph of the database, as far as it is needed.
type stanza struct {
	pkg, version, arch, source, status, maintainer string

	conffiles bool // the present line goes on with the field Conffiles
}

// parse reads paragraphs. In the status file one without the field Status is
// malformed; the files in status.d are control files, which have none.
func parse(r io.Reader, status bool, claims *scan.Claims) ([]inventory.Component, error) {
	var out []inventory.Component
	var s stanza
	end := func() error {
		c, err := s.component(status)
		if err == nil && c.Name != "" {
			out = append(out, c)
		}
		if len(out) > scan.MaxComponents {
			return fault.Errorf(fault.Invalid, "more than %d packages", scan.MaxComponents)
		}
		s = stanza{}
		return err
	}
	err := lines(r, func(line []byte, whole bool) error {
		switch {
		case len(bytes.TrimSpace(line)) == 0:
			return end()
		case line[0] == ' ' || line[0] == '\t':
			if s.conffiles && whole {
				return s.conffile(bytes.TrimSpace(line), claims)
			}
			return nil
		}
		return s.field(line, whole)
	})
	if err != nil {
		return out, err
	}
	return out, end()
}

// conffile takes a line of the field Conffiles: a path, its sum as the package
// brought it, and perhaps a word about it.
func (s *stanza) conffile(line []byte, claims *scan.Claims) error {
	for _, word := range [][]byte{[]byte(" obsolete"), []byte(" remove-on-upgrade")} {
		line = bytes.TrimSuffix(line, word)
	}
	i := bytes.LastIndexByte(line, ' ')
	if i < 0 || s.pkg == "" {
		return nil
	}
	return claims.Add(line[:i], s.pkg, inventory.Deb, "md5", line[i+1:])
}

// field takes what one line says.
func (s *stanza) field(line []byte, whole bool) error {
	s.conffiles = false
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok {
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
	case "maintainer":
		to = &s.maintainer
	case "conffiles":
		s.conffiles = true
		return nil
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
func (s *stanza) component(status bool) (inventory.Component, error) {
	if *s == (stanza{}) {
		return inventory.Component{}, nil
	}
	if s.pkg == "" {
		return inventory.Component{}, fault.Errorf(fault.Invalid, "a paragraph names no package")
	}
	if status && !present(s.status) {
		return inventory.Component{}, nil
	}
	c := inventory.Component{
		Kind: inventory.OS, Type: inventory.Deb, Name: s.pkg, Version: s.version, Arch: s.arch,
		SourceName: s.pkg, SourceVersion: s.version, Vendor: scan.Plain(s.maintainer, maxVendor),
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
