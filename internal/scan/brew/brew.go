// Package brew recognises what Homebrew installed by the receipts that it leaves
// in its cellar: Cellar/NAME/VERSION/INSTALL_RECEIPT.json.
package brew

import (
	"context"
	"encoding/json"
	"io"
	"path"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

// Extractor is a [scan.Extractor] of Homebrew's packages.
type Extractor struct{}

var _ scan.Extractor = Extractor{}

const (
	receipt = "/INSTALL_RECEIPT.json"
	maxSize = 1 << 20         // bytes of a receipt
	core    = "homebrew/core" // the tap that a package is from if nothing else is said
)

// Name implements [scan.Extractor].
func (Extractor) Name() string { return "brew" }

// Version implements [scan.Extractor].
func (Extractor) Version() int { return 1 }

// Wants implements [scan.Extractor].
func (Extractor) Wants(e image.Entry, _ []byte) bool {
	if !strings.HasSuffix(e.Path, receipt) {
		return false
	}
	_, _, ok := parse(e.Path)
	return ok
}

// parse returns the name and the version that the receipt's path says.
func parse(p string) (name, version string, ok bool) {
	version = path.Dir(p)
	name = path.Dir(version)
	if path.Base(path.Dir(name)) != "Cellar" {
		return "", "", false
	}
	return path.Base(name), path.Base(version), true
}

// Extract implements [scan.Extractor]. The version is that of the folder, which
// has Homebrew's own revision at its end ("1.2.3_1").
func (Extractor) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	name, version, ok := parse(f.Path)
	if !ok {
		return inventory.Found{}, nil
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return inventory.Found{}, err
	}
	if len(b) > maxSize {
		return inventory.Found{}, fault.Errorf(fault.Invalid, "larger than %d bytes", maxSize)
	}
	var r struct {
		Arch   string `json:"arch"`
		Source struct {
			Tap string `json:"tap"`
		} `json:"source"`
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return inventory.Found{}, fault.Errorf(fault.Invalid, "not a receipt: %w", err)
	}
	c := inventory.Component{Kind: inventory.Application, Type: inventory.Brew, Name: name, Version: version, Arch: r.Arch}
	if r.Source.Tap != core {
		c.Namespace = r.Source.Tap
	}
	folder := inventory.Owned{Path: path.Dir(f.Path) + "/", Package: name, Type: inventory.Brew}
	return inventory.Found{Components: []inventory.Component{c}, Owned: []inventory.Owned{folder}}, nil
}
