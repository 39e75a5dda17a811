// Package conan recognises what conan.lock names, the lock file of the package
// manager of C and C++.
package conan

import (
	"context"
	"path"
	"strings"

	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/metadata"
)

// Extractor is a [scan.Extractor] of conan.lock, of Conan 1 and 2.
type Extractor struct{}

var _ scan.Extractor = Extractor{}

const (
	maxLock = 8 << 20 // bytes of a lock file
	// Conan is the purl type.
	Conan inventory.Type = "conan"
)

// Name implements [scan.Extractor].
func (Extractor) Name() string { return "conan-lock" }

// Version implements [scan.Extractor].
func (Extractor) Version() int { return 1 }

// Wants implements [scan.Extractor].
func (Extractor) Wants(e image.Entry, _ []byte) bool {
	return path.Base(e.Path) == "conan.lock" && metadata.Project(e.Path)
}

// Extract implements [scan.Extractor]. What is needed to build only is left out.
func (Extractor) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	var found metadata.List
	err := metadata.ReadJSON(f, maxLock, func(d metadata.JSON, key string) error {
		switch key {
		case "requires": // Conan 2
			return d.Array(func(int) error {
				ref, err := d.Text()
				if err != nil {
					return err
				}
				return add(&found, ref)
			})
		case "graph_lock": // Conan 1
			return d.Object(func(key string) error {
				if key != "nodes" {
					return d.Skip()
				}
				return d.Object(func(string) error { return node(d, &found) })
			})
		}
		return d.Skip()
	})
	return found.Planned(path.Join(path.Dir(f.Path), "build")), err
}

func node(d metadata.JSON, found *metadata.List) error {
	var ref, needed string
	err := d.Object(func(key string) (err error) {
		switch key {
		case "ref":
			ref, err = d.Text()
		case "context":
			needed, err = d.Text()
		default:
			err = d.Skip()
		}
		return err
	})
	if err != nil || needed == "build" {
		return err
	}
	return add(found, ref)
}

// add adds what a reference names: NAME/VERSION[@USER/CHANNEL][#REVISION[%TIME]].
func add(found *metadata.List, ref string) error {
	ref, _, _ = strings.Cut(ref, "#")
	ref, user, _ := strings.Cut(ref, "@")
	user, _, _ = strings.Cut(user, "/")
	name, version, ok := strings.Cut(ref, "/")
	if !ok || name == "" || version == "" || user == "_" {
		return nil
	}
	return found.Add(inventory.Component{Kind: inventory.Library, Type: Conan, Namespace: user, Name: name, Version: version})
}
