// Package node recognises npm packages: those that are installed, each by the
// package.json directly in its folder under node_modules, and, as a second best,
// those that a project's lock file says were meant to be installed.
//
// The lock file that npm keeps inside node_modules is never read: it goes stale
// when a later layer removes or replaces a package. A project's own lock file
// counts only where no installed package was recognised beside it.
package node

import (
	"context"
	"encoding/json"
	"strings"

	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

// Packages is a [scan.Extractor] of installed packages.
type Packages struct{}

var _ scan.Extractor = Packages{}

const (
	maxPackage = 8 << 20 // bytes of a package.json
	folder     = "node_modules"
)

// Name implements [scan.Extractor].
func (Packages) Name() string { return "npm" }

// Version implements [scan.Extractor].
func (Packages) Version() int { return 2 }

// Wants implements [scan.Extractor]: node_modules/NAME/package.json and
// node_modules/@SCOPE/NAME/package.json at any depth. Other files of that name
// are parts of packages, tests and templates.
func (Packages) Wants(e image.Entry, _ []byte) bool {
	dir, ok := strings.CutSuffix(e.Path, "/package.json")
	if !ok {
		return false
	}
	above, _ := up(dir)
	if outer, scope := up(above); strings.HasPrefix(scope, "@") {
		above = outer
	}
	_, last := up(above)
	return last == folder
}

// up splits off the last element of a path.
func up(p string) (dir, last string) {
	i := strings.LastIndexByte(p, '/')
	return p[:max(i, 0)], p[i+1:]
}

// Extract implements [scan.Extractor]. A package that does not say its name has
// that of its folder, by which programs find it.
func (Packages) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	var name, version, licence string
	err := read(f, maxPackage, func(d document, key string) (err error) {
		switch key {
		case "name":
			name, err = d.text()
		case "version":
			version, err = d.text()
		case "license":
			licence, err = d.licence()
		default:
			err = d.skip()
		}
		return err
	})
	if err != nil {
		return inventory.Found{}, err
	}
	if name == "" && version == "" {
		return inventory.Found{}, nil // not a package: it only says how files are loaded
	}
	if name == "" {
		above, last := up(strings.TrimSuffix(f.Path, "/package.json"))
		if _, scope := up(above); strings.HasPrefix(scope, "@") {
			last = scope + "/" + last
		}
		name = last
	}
	c := component(name, version)
	if licence != "" {
		c.Licences = []string{licence}
	}
	return inventory.Found{Components: []inventory.Component{c}}, nil
}

// component returns the package of that name. npm takes " =v1.2.3" for 1.2.3.
func component(name, version string) inventory.Component {
	version = strings.TrimLeft(strings.TrimSpace(version), "=v")
	c := inventory.Component{Kind: inventory.Library, Type: inventory.NPM, Name: name, Version: version}
	if scope, rest, ok := strings.Cut(name, "/"); ok && strings.HasPrefix(scope, "@") && rest != "" {
		c.Namespace, c.Name = scope, rest
	}
	return c
}

// licence reads the field in the form of today, a string, and of old, an object
// with a type.
func (d document) licence() (s string, err error) {
	v, err := d.Token()
	switch v := v.(type) {
	case string:
		return v, err
	case json.Delim:
		if v != '{' {
			return "", d.rest()
		}
		err = d.fields(func(key string) (err error) {
			if key == "type" {
				s, err = d.text()
				return err
			}
			return d.skip()
		})
	}
	return s, err
}
