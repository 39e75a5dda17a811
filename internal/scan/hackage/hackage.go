// Package hackage recognises installed packages of Haskell by the files of GHC's
// package databases: package.conf.d/*.conf, and package.db/*.conf of Cabal's
// store. Programs that were compiled from them leave no such trace.
package hackage

import (
	"context"
	"path"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/metadata"
)

// Extractor is a [scan.Extractor] of installed packages.
type Extractor struct{}

var _ scan.Extractor = Extractor{}

const maxConf = 4 << 20 // bytes

// Name implements [scan.Extractor].
func (Extractor) Name() string { return "ghc" }

// Version implements [scan.Extractor].
func (Extractor) Version() int { return 1 }

// Wants implements [scan.Extractor].
func (Extractor) Wants(e image.Entry, _ []byte) bool {
	if !strings.HasSuffix(e.Path, ".conf") {
		return false
	}
	dir := path.Dir(e.Path)
	return strings.HasSuffix(dir, "package.conf.d") || strings.HasSuffix(dir, "package.db")
}

// Extract implements [scan.Extractor]. A part of a package that has a name of its
// own (an internal library) is the package.
func (Extractor) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	fields := map[string]string{}
	err := metadata.Lines(f, maxConf, func(line string) error {
		name, value, ok := strings.Cut(line, ":")
		if !ok || line[0] == ' ' || line[0] == '\t' {
			return nil
		}
		switch name {
		case "name", "version", "license", "package-name":
			if _, again := fields[name]; again {
				return fault.Errorf(fault.Invalid, "the field %s is there twice", name)
			}
			fields[name] = strings.TrimSpace(value)
		}
		return nil
	})
	if err != nil {
		return inventory.Found{}, err
	}
	c := inventory.Component{Kind: inventory.Library, Type: inventory.Hackage, Name: fields["name"], Version: fields["version"]}
	if p := fields["package-name"]; p != "" {
		c.Name = p
	}
	if c.Name == "" {
		return inventory.Found{}, fault.Errorf(fault.Invalid, "%q has no field name", path.Base(f.Path))
	}
	if l := fields["license"]; l != "" {
		c.Licences = []string{l}
	}
	return inventory.Found{Components: []inventory.Component{c}}, nil
}
