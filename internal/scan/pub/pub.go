// Package pub recognises what pubspec.lock names, the lock file of Dart and
// Flutter. What a program is compiled from leaves no other trace.
package pub

import (
	"context"
	"path"
	"strings"

	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/metadata"
)

// Extractor is a [scan.Extractor] of pubspec.lock.
type Extractor struct{}

var _ scan.Extractor = Extractor{}

const maxLock = 8 << 20 // bytes of a lock file

// Name implements [scan.Extractor].
func (Extractor) Name() string { return "pub-lock" }

// Version implements [scan.Extractor].
func (Extractor) Version() int { return 1 }

// Wants implements [scan.Extractor].
func (Extractor) Wants(e image.Entry, _ []byte) bool {
	return path.Base(e.Path) == "pubspec.lock" && metadata.Project(e.Path)
}

// locked is one package of the file.
type locked struct{ name, version, source, dependency string }

// Extract implements [scan.Extractor]. What is needed for development only, and
// what does not come from a package host, is left out. The file is written by
// pub, one field a line, and is read as such:
//
//	packages:
//	  archive:
//	    dependency: transitive
//	    description: …
//	    source: hosted
//	    version: "2.0.13"
func (Extractor) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	var found metadata.List
	var one locked
	inside := false
	err := metadata.Lines(f, maxLock, func(line string) error {
		text := strings.TrimLeft(line, " ")
		key, value, ok := strings.Cut(text, ":")
		if !ok {
			return nil
		}
		switch len(line) - len(text) {
		case 0:
			before := one
			one, inside = locked{}, key == "packages"
			return before.add(&found)
		case 2:
			before := one
			if one = (locked{}); inside {
				one.name = strings.Trim(key, `"`)
			}
			return before.add(&found)
		case 4:
			one.field(key, strings.Trim(value, ` "`))
		}
		return nil
	})
	if err == nil {
		err = one.add(&found)
	}
	return found.Planned(path.Join(path.Dir(f.Path), ".dart_tool")), err
}

func (p *locked) field(key, value string) {
	switch key {
	case "version":
		p.version = value
	case "source":
		p.source = value
	case "dependency":
		p.dependency = value
	}
}

func (p *locked) add(found *metadata.List) error {
	if p.name == "" || p.version == "" || p.source != "hosted" || p.dependency == "direct dev" {
		return nil
	}
	return found.Add(inventory.Component{Kind: inventory.Library, Type: inventory.Pub, Name: p.name, Version: p.version})
}
