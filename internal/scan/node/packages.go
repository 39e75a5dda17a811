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
	"io"
	"strings"

	"plimsoll/internal/fault"
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
func (Packages) Version() int { return 1 }

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

// Extract implements [scan.Extractor].
func (Packages) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	var p struct {
		Name    string          `json:"name"`
		Version string          `json:"version"`
		License json.RawMessage `json:"license"`
	}
	if err := decode(f, maxPackage, &p); err != nil {
		return inventory.Found{}, err
	}
	if p.Name == "" {
		return inventory.Found{}, nil // not a package: npm would not install it
	}
	c := component(p.Name, p.Version)
	c.Licences = licences(p.License)
	return inventory.Found{Components: []inventory.Component{c}}, nil
}

// decode reads a JSON document of at most limit bytes.
func decode(f scan.File, limit int64, v any) error {
	if f.Size > limit {
		return fault.Errorf(fault.Invalid, "larger than %d bytes", limit)
	}
	b, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(string(b), "\uFEFF")), v); err != nil {
		return fault.Errorf(fault.Invalid, "not valid JSON: %w", err)
	}
	return nil
}

func component(name, version string) inventory.Component {
	c := inventory.Component{Kind: inventory.Library, Type: inventory.NPM, Name: name, Version: strings.TrimPrefix(version, "v")}
	if scope, rest, ok := strings.Cut(name, "/"); ok && strings.HasPrefix(scope, "@") && rest != "" {
		c.Namespace, c.Name = scope, rest
	}
	return c
}

// licences reads the field in the form of today, a string, and of old, an
// object with a type.
func licences(raw json.RawMessage) []string {
	var s string
	if json.Unmarshal(raw, &s) == nil && s != "" {
		return []string{s}
	}
	var old struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(raw, &old) == nil && old.Type != "" {
		return []string{old.Type}
	}
	return nil
}
