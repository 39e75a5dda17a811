package node

import (
	"cmp"
	"context"
	"path"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/metadata"
)

// Locks is a [scan.Extractor] of the lock files of npm, Yarn, pnpm and Bun. What a
// lock file marks as needed for development only is left out.
type Locks struct{}

var _ scan.Extractor = Locks{}

const (
	maxLock   = 32 << 20 // bytes of a lock file
	maxNested = 500      // packages in each other
)

// Name implements [scan.Extractor].
func (Locks) Name() string { return "npm-lock" }

// Version implements [scan.Extractor].
func (Locks) Version() int { return 3 }

// Wants implements [scan.Extractor].
func (Locks) Wants(e image.Entry, _ []byte) bool {
	switch path.Base(e.Path) {
	case "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock":
		return !strings.HasPrefix(e.Path, folder+"/") && !strings.Contains(e.Path, "/"+folder+"/")
	}
	return false
}

// Extract implements [scan.Extractor].
func (Locks) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	var found list
	var err error
	switch path.Base(f.Path) {
	case "yarn.lock":
		err = found.yarn(f)
	case "pnpm-lock.yaml":
		err = found.pnpm(f)
	case "bun.lock":
		err = found.bun(f)
	default:
		err = found.npm(f)
	}
	return found.Planned(path.Join(path.Dir(f.Path), folder)), err
}

// list is the packages of a lock file.
type list struct{ metadata.List }

// npm reads package-lock.json: of version 1 (dependencies nested in each other)
// or of versions 2 and 3 (a flat map by path, and for version 2 also the nested
// form, which says the same).
func (l *list) npm(f scan.File) error {
	return metadata.ReadJSON(f, maxLock, func(d metadata.JSON, key string) error {
		switch key {
		case "packages":
			return d.Object(func(where string) error { return l.flat(d, where) })
		case "dependencies":
			return l.nested(d, 0)
		}
		return d.Skip()
	})
}

// locked is what an entry of a lock file says of its package.
type locked struct {
	name, version string
	dev, link     bool
}

// field reads a field that both forms have, or skips it.
func (p *locked) field(d metadata.JSON, key string) (err error) {
	switch key {
	case "name":
		p.name, err = d.Text()
	case "version":
		p.version, err = d.Text()
	case "dev":
		p.dev, err = d.Flag()
	case "link":
		p.link, err = d.Flag()
	default:
		err = d.Skip()
	}
	return err
}

// flat reads one entry of the map "packages".
func (l *list) flat(d metadata.JSON, where string) error {
	var p locked
	if err := d.Object(func(key string) error { return p.field(d, key) }); err != nil {
		return err
	}
	i := strings.LastIndex("/"+where, "/"+folder+"/")
	if i < 0 || p.dev || p.link {
		return nil // the project itself, one of its workspaces, or a link to one
	}
	return l.Add(released(cmp.Or(p.name, where[i+len(folder)+1:]), p.version)...)
}

// nested reads a map "dependencies" of version 1. What lies in a package that
// is for development only is so, too, and says so itself.
func (l *list) nested(d metadata.JSON, depth int) error {
	if depth > maxNested {
		return fault.Errorf(fault.Invalid, "nested too deep")
	}
	return d.Object(func(name string) error {
		var p locked
		err := d.Object(func(key string) error {
			if key == "dependencies" {
				return l.nested(d, depth+1)
			}
			return p.field(d, key)
		})
		if err != nil || p.dev {
			return err
		}
		if alias, ok := strings.CutPrefix(p.version, "npm:"); ok {
			name, p.version = at(alias)
		}
		return l.Add(released(name, p.version)...)
	})
}

// released returns the package if its version is one that a registry released,
// not a folder or a repository.
func released(name, version string) []inventory.Component {
	if name == "" || version == "" || version[0] < '0' || version[0] > '9' {
		return nil
	}
	return []inventory.Component{component(name, version)}
}

// at splits "name@version"; the name may begin with an at sign.
func at(s string) (name, version string) {
	i := strings.LastIndexByte(s, '@')
	if i <= 0 {
		return s, ""
	}
	return s[:i], s[i+1:]
}
