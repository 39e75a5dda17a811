package node

import (
	"bufio"
	"cmp"
	"context"
	"io"
	"path"
	"slices"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

// Locks is a [scan.Extractor] of the lock files of npm, Yarn and pnpm. What a
// lock file marks as needed for development only is left out.
type Locks struct{}

var _ scan.Extractor = Locks{}

const (
	maxLock = 32 << 20 // bytes of a lock file
	maxLine = 1 << 20
)

// Name implements [scan.Extractor].
func (Locks) Name() string { return "npm-lock" }

// Version implements [scan.Extractor].
func (Locks) Version() int { return 2 }

// Wants implements [scan.Extractor].
func (Locks) Wants(e image.Entry, _ []byte) bool {
	switch path.Base(e.Path) {
	case "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml":
		return !strings.HasPrefix(e.Path, folder+"/") && !strings.Contains(e.Path, "/"+folder+"/")
	}
	return false
}

// Extract implements [scan.Extractor].
func (Locks) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	if f.Size > maxLock {
		return inventory.Found{}, fault.Errorf(fault.Invalid, "larger than %d bytes", maxLock)
	}
	var found list
	var err error
	switch path.Base(f.Path) {
	case "yarn.lock":
		err = found.yarn(f)
	case "pnpm-lock.yaml":
		err = found.pnpm(f)
	default:
		err = found.npm(f)
	}
	order := func(a, b inventory.Component) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	}
	slices.SortFunc(found, order)
	found = slices.CompactFunc(found, func(a, b inventory.Component) bool { return order(a, b) == 0 })
	return inventory.Found{Components: found, Unless: path.Join(path.Dir(f.Path), folder)}, err
}

// list is the packages of a lock file.
type list []inventory.Component

// add adds packages; it is Invalid if there are more than a file may have.
func (l *list) add(more ...inventory.Component) error {
	if *l = append(*l, more...); len(*l) > scan.MaxComponents {
		return fault.Errorf(fault.Invalid, "more than %d packages", scan.MaxComponents)
	}
	return nil
}

// npm reads package-lock.json: of version 1 (dependencies nested in each other)
// or of versions 2 and 3 (a flat map by path, and for version 2 also the nested
// form, which says the same).
func (l *list) npm(f scan.File) error {
	return read(f, maxLock, func(d document, key string) error {
		switch key {
		case "packages":
			return d.object(func(where string) error { return l.flat(d, where) })
		case "dependencies":
			return l.nested(d, 0)
		}
		return d.skip()
	})
}

// locked is what an entry of a lock file says of its package.
type locked struct {
	name, version string
	dev, link     bool
}

// field reads a field that both forms have, or skips it.
func (p *locked) field(d document, key string) (err error) {
	switch key {
	case "name":
		p.name, err = d.text()
	case "version":
		p.version, err = d.text()
	case "dev":
		p.dev, err = d.flag()
	case "link":
		p.link, err = d.flag()
	default:
		err = d.skip()
	}
	return err
}

// flat reads one entry of the map "packages".
func (l *list) flat(d document, where string) error {
	var p locked
	if err := d.object(func(key string) error { return p.field(d, key) }); err != nil {
		return err
	}
	i := strings.LastIndex("/"+where, "/"+folder+"/")
	if i < 0 || p.dev || p.link {
		return nil // the project itself, one of its workspaces, or a link to one
	}
	return l.add(released(cmp.Or(p.name, where[i+len(folder)+1:]), p.version)...)
}

// nested reads a map "dependencies" of version 1. What lies in a package that
// is for development only is so, too, and says so itself.
func (l *list) nested(d document, depth int) error {
	if depth > maxNested/2 {
		return fault.Errorf(fault.Invalid, "nested too deep")
	}
	return d.object(func(name string) error {
		var p locked
		err := d.object(func(key string) error {
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
		return l.add(released(name, p.version)...)
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

// eachLine calls fn with the lines of a lock file.
func eachLine(r io.Reader, fn func(line string) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	for lines.Scan() {
		if err := fn(strings.TrimSuffix(lines.Text(), "\r")); err != nil {
			return err
		}
	}
	return lines.Err()
}
