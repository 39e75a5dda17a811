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
	maxLock = 64 << 20 // bytes of a lock file
	maxLine = 1 << 20
)

// Name implements [scan.Extractor].
func (Locks) Name() string { return "npm-lock" }

// Version implements [scan.Extractor].
func (Locks) Version() int { return 1 }

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
	var list []inventory.Component
	var err error
	switch path.Base(f.Path) {
	case "yarn.lock":
		list, err = yarn(f)
	case "pnpm-lock.yaml":
		list, err = pnpm(f)
	default:
		list, err = npm(f)
	}
	order := func(a, b inventory.Component) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	}
	slices.SortFunc(list, order)
	list = slices.CompactFunc(list, func(a, b inventory.Component) bool { return order(a, b) == 0 })
	return inventory.Found{Components: list, Unless: path.Join(path.Dir(f.Path), folder)}, err
}

// locked is a package in package-lock.json: of version 1 (Dependencies nested)
// or of versions 2 and 3 (a flat map by path).
type locked struct {
	Name         string            `json:"name"`
	Version      string            `json:"version"`
	Dev          bool              `json:"dev"`
	Link         bool              `json:"link"`
	Dependencies map[string]locked `json:"dependencies"`
}

func npm(f scan.File) ([]inventory.Component, error) {
	var lock struct {
		Packages     map[string]flat   `json:"packages"`
		Dependencies map[string]locked `json:"dependencies"`
	}
	if err := decode(f, maxLock, &lock); err != nil {
		return nil, err
	}
	var out []inventory.Component
	if len(lock.Packages) == 0 {
		return nested(out, lock.Dependencies), nil
	}
	for where, p := range lock.Packages {
		i := strings.LastIndex("/"+where, "/"+folder+"/")
		if i < 0 || p.Dev || p.Link {
			continue // the project itself, one of its workspaces, or a link to one
		}
		out = append(out, released(cmp.Or(p.Name, where[i+len(folder)+1:]), p.Version)...)
	}
	return out, nil
}

// flat is an entry of the map "packages", whose own "dependencies" are ranges.
type flat struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Dev     bool   `json:"dev"`
	Link    bool   `json:"link"`
}

func nested(out []inventory.Component, deps map[string]locked) []inventory.Component {
	for name, p := range deps {
		if p.Dev {
			continue
		}
		if alias, ok := strings.CutPrefix(p.Version, "npm:"); ok {
			name, p.Version = at(alias)
		}
		out = append(out, released(name, p.Version)...)
		out = nested(out, p.Dependencies)
	}
	return out
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
func eachLine(r io.Reader, fn func(line string)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	for lines.Scan() {
		fn(strings.TrimSuffix(lines.Text(), "\r"))
	}
	return lines.Err()
}
