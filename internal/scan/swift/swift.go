// Package swift recognises what Package.resolved names, the lock file of Swift's
// package manager. What a program is compiled from leaves no other trace.
package swift

import (
	"context"
	"path"
	"strings"

	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/metadata"
)

// Extractor is a [scan.Extractor] of Package.resolved, of the forms 1 to 3.
type Extractor struct{}

var _ scan.Extractor = Extractor{}

const maxLock = 8 << 20 // bytes of a lock file

// Name implements [scan.Extractor].
func (Extractor) Name() string { return "swift-lock" }

// Version implements [scan.Extractor].
func (Extractor) Version() int { return 1 }

// Wants implements [scan.Extractor].
func (Extractor) Wants(e image.Entry, _ []byte) bool {
	return path.Base(e.Path) == "Package.resolved" && metadata.Project(e.Path)
}

// Extract implements [scan.Extractor]. What is pinned to a branch has no version
// and is left out.
func (Extractor) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	var found metadata.List
	var field func(d metadata.JSON, key string) error
	field = func(d metadata.JSON, key string) error {
		switch key {
		case "object": // of form 1, around the pins
			return d.Object(func(key string) error {
				if key != "pins" {
					return d.Skip()
				}
				return field(d, key)
			})
		case "pins":
			return d.Array(func(int) error { return pin(d, &found) })
		}
		return d.Skip()
	}
	err := metadata.ReadJSON(f, maxLock, field)
	return found.Planned(path.Join(path.Dir(f.Path), ".build")), err
}

// pin reads one package: its repository names it.
func pin(d metadata.JSON, found *metadata.List) error {
	var location, version string
	err := d.Object(func(key string) (err error) {
		switch key {
		case "location", "repositoryURL":
			location, err = d.Text()
		case "state":
			version, err = d.TextOf("version")
		default:
			err = d.Skip()
		}
		return err
	})
	if err != nil || version == "" {
		return err
	}
	namespace, name := repository(location)
	if name == "" || namespace == "" {
		return nil
	}
	return found.Add(inventory.Component{Kind: inventory.Library, Type: inventory.Swift, Namespace: namespace, Name: name, Version: version})
}

// repository splits "https://github.com/apple/swift-nio.git" and
// "git@github.com:apple/swift-nio.git" as purl-spec says: the namespace is host
// and owner, the name that of the repository.
func repository(location string) (namespace, name string) {
	_, rest, ok := strings.Cut(location, "://")
	if !ok {
		rest = strings.Replace(location, ":", "/", 1)
	}
	if host, _, _ := strings.Cut(rest, "/"); strings.Contains(host, "@") {
		_, rest, _ = strings.Cut(rest, "@")
	}
	rest = strings.TrimSuffix(strings.TrimSuffix(rest, "/"), ".git")
	i := strings.LastIndexByte(rest, '/')
	if i <= 0 {
		return "", ""
	}
	return rest[:i], rest[i+1:]
}
