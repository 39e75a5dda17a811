// Package node recognises npm packages: those that are installed, each by the
// package.json directly in its folder under node_modules or in an archive of
// Yarn's cache, and, as a second best, those that a project's lock file says
// were meant to be installed.
//
// The lock file that npm keeps inside node_modules is never read: it goes stale
// when a later layer removes or replaces a package. A project's own lock file
// counts only where no installed package was recognised beside it. Bun's old
// binary lock file (bun.lockb) is not read; what it installed is.
package node

import (
	"context"
	"strings"

	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/metadata"
)

// Packages is a [scan.Extractor] of installed packages, and of the programs
// whose own package.json lies where images keep programs.
type Packages struct{}

var _ scan.Extractor = Packages{}

const maxPackage = 8 << 20 // bytes of a package.json

// Name implements [scan.Extractor].
func (Packages) Name() string { return "npm" }

// Version implements [scan.Extractor].
func (Packages) Version() int { return 3 }

// Wants implements [scan.Extractor]: node_modules/NAME/package.json and
// node_modules/@SCOPE/NAME/package.json at any depth, and a program's own. Other
// files of that name are parts of packages, tests and templates.
func (Packages) Wants(e image.Entry, _ []byte) bool {
	dir, ok := strings.CutSuffix(e.Path, "package.json")
	if !ok || dir != "" && dir[len(dir)-1] != '/' {
		return false
	}
	dir = strings.TrimSuffix(dir, "/")
	return installed(dir) || program(dir)
}

// Extract implements [scan.Extractor]. A package that does not say its name has
// that of its folder, by which programs find it; a program must say both.
func (Packages) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	c, err := parse(f)
	if err != nil || c.Name == "" && c.Version == "" {
		return inventory.Found{}, err // without either it only says how files are loaded
	}
	dir := strings.TrimSuffix(strings.TrimSuffix(f.Path, "package.json"), "/")
	if !installed(dir) {
		if c.Name == "" || c.Version == "" {
			return inventory.Found{}, nil
		}
		c.Kind = inventory.Application
		return inventory.Found{Components: []inventory.Component{c}}, nil
	}
	if c.Name == "" {
		c.Namespace, c.Name = split(folderName(dir))
	}
	own := inventory.Owned{Path: dir + "/", Package: c.Name, Type: inventory.NPM}
	return inventory.Found{Components: []inventory.Component{c}, Owned: []inventory.Owned{own}}, nil
}

// parse reads a package.json.
func parse(f scan.File) (inventory.Component, error) {
	var name, version, licence string
	err := metadata.ReadJSON(f, maxPackage, func(d metadata.JSON, key string) (err error) {
		switch key {
		case "name":
			name, err = d.Text()
		case "version":
			version, err = d.Text()
		case "license": // an object of old
			licence, err = d.TextOf("type")
		default:
			err = d.Skip()
		}
		return err
	})
	c := component(name, version)
	if licence != "" {
		c.Licences = []string{licence}
	}
	return c, err
}

// component returns the package of that name. npm takes " =v1.2.3" for 1.2.3.
func component(name, version string) inventory.Component {
	version = strings.TrimLeft(strings.TrimSpace(version), "=v")
	c := inventory.Component{Kind: inventory.Library, Type: inventory.NPM, Version: version}
	c.Namespace, c.Name = split(name)
	return c
}

// split returns the scope, if there is one, and the name in it.
func split(name string) (scope, rest string) {
	if scope, rest, ok := strings.Cut(name, "/"); ok && strings.HasPrefix(scope, "@") && rest != "" {
		return scope, rest
	}
	return "", name
}
