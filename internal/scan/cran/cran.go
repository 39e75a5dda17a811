// Package cran recognises installed packages of R by the file DESCRIPTION in
// their folders (Writing R Extensions, section 1.1.1).
package cran

import (
	"bytes"
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

const (
	maxDescription = 1 << 20 // bytes
	// Bioconductor is the purl type of packages from there.
	Bioconductor inventory.Type = "bioconductor"
)

// Name implements [scan.Extractor].
func (Extractor) Name() string { return "r" }

// Version implements [scan.Extractor].
func (Extractor) Version() int { return 1 }

// Wants implements [scan.Extractor].
func (Extractor) Wants(e image.Entry, head []byte) bool {
	return strings.HasSuffix(e.Path, "/DESCRIPTION") && bytes.Contains(head, []byte("Package: "))
}

// Extract implements [scan.Extractor]. Only what R installed has a field Built:
// sources do not. R itself is known by its package base, whose fellows are parts
// of it.
func (Extractor) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	fields := map[string]string{}
	err := metadata.Lines(f, maxDescription, func(line string) error {
		name, value, ok := strings.Cut(line, ":")
		if !ok || line[0] == ' ' || line[0] == '\t' {
			return nil
		}
		switch name {
		case "Package", "Version", "Built", "License", "Priority", "biocViews":
			if _, again := fields[name]; again {
				return fault.Errorf(fault.Invalid, "the field %s is there twice", name)
			}
			fields[name] = strings.TrimSpace(value)
		}
		return nil
	})
	_, built := fields["Built"]
	if err != nil || !built || fields["Package"] == "" {
		return inventory.Found{}, err
	}
	c := inventory.Component{Kind: inventory.Library, Type: inventory.CRAN, Name: fields["Package"], Version: fields["Version"]}
	if _, ok := fields["biocViews"]; ok {
		c.Type = Bioconductor
	}
	if fields["Priority"] == "base" {
		if c.Name != "base" {
			return inventory.Found{}, nil
		}
		c.Type, c.Name = inventory.Generic, "r"
	}
	if l := fields["License"]; l != "" {
		c.Licences = []string{l}
	}
	own := inventory.Owned{Path: path.Dir(f.Path) + "/", Package: c.Name, Type: c.Type}
	return inventory.Found{Components: []inventory.Component{c}, Owned: []inventory.Owned{own}}, nil
}
