// Package graal recognises programs that GraalVM's native-image compiled and that
// carry an inventory of the Java libraries in them: a CycloneDX document, packed
// with gzip, which the symbols sbom and sbom_length point at
// (GraalVM for JDK 21, Reference Manual, "Embed a SBOM in a Native Executable").
// Only ELF files are read for it.
package graal

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/package-url/packageurl-go"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/exe"
)

// Extractor is a [scan.Extractor] of the inventories in native images.
type Extractor struct{}

var _ scan.Extractor = Extractor{}

// Name implements [scan.Extractor].
func (Extractor) Name() string { return "graalvm-sbom" }

// Version implements [scan.Extractor].
func (Extractor) Version() int { return 1 }

// minImage is less than any native image has: it holds a garbage collector and
// the Java base classes.
const minImage = 1 << 20

// Wants implements [scan.Extractor]: ELF files of some size.
func (Extractor) Wants(e image.Entry, head []byte) bool {
	return e.Size >= minImage && exe.Sniff(head) == exe.ELF
}

// Bounds of what is read, in bytes.
const (
	maxPacked   = 8 << 20
	maxUnpacked = 32 << 20
	maxDepth    = 8 // of components in components
)

// The symbols that native-image defines.
const (
	symbolContent = "sbom"
	symbolLength  = "sbom_length"
)

// Extract implements [scan.Extractor].
func (Extractor) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	content, err := f.Spill()
	if err != nil {
		return inventory.Found{}, err
	}
	packed, err := embedded(exe.Read(content, content.Size()))
	if err != nil || packed == nil {
		return inventory.Found{}, err
	}
	d, err := unpack(packed)
	if err != nil {
		return inventory.Found{}, fault.Errorf(fault.Invalid, "read the inventory that native-image embedded: %w", err)
	}
	var out []inventory.Component
	if err := gather(&out, d.Components, 0); err != nil {
		return inventory.Found{Components: out}, err
	}
	return inventory.Found{Components: out}, nil
}

// embedded returns the packed inventory, nil if the program has none.
func embedded(info *exe.Info) ([]byte, error) {
	at, ok := info.Symbol(symbolContent)
	length, also := info.Symbol(symbolLength)
	if !ok || !also {
		return nil, nil
	}
	b := info.Content(length.Value, 8, 8)
	if b == nil {
		return nil, fault.Errorf(fault.Invalid, "the symbol %s points outside the file", symbolLength)
	}
	n := info.Order().Uint64(b)
	if n > maxPacked {
		return nil, fault.Errorf(fault.Invalid, "the embedded inventory has %d bytes, more than %d", n, maxPacked)
	}
	packed := info.Content(at.Value, int64(n), maxPacked)
	if packed == nil {
		return nil, fault.Errorf(fault.Invalid, "the symbol %s points outside the file", symbolContent)
	}
	return packed, nil
}

// document is what this package reads of a CycloneDX document.
type document struct {
	Components []component `json:"components"`
}

type component struct {
	Group      string      `json:"group"`
	Name       string      `json:"name"`
	Version    string      `json:"version"`
	PURL       string      `json:"purl"`
	Components []component `json:"components"`
}

func unpack(packed []byte) (*document, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(z, maxUnpacked+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxUnpacked {
		return nil, fmt.Errorf("it has more than %d bytes", maxUnpacked)
	}
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, err
	}
	return &d, nil
}

// gather adds the Java libraries among the components to out.
func gather(out *[]inventory.Component, all []component, depth int) error {
	if depth > maxDepth {
		return fault.Errorf(fault.Invalid, "the embedded inventory has components in components more than %d deep", maxDepth)
	}
	for i := range all {
		if c := all[i].library(); c.Name != "" {
			*out = append(*out, c)
		}
		if err := gather(out, all[i].Components, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// library returns the component as its package URL names it, or else by its group
// and name.
func (c *component) library() inventory.Component {
	one := inventory.Component{Kind: inventory.Library, Type: inventory.Maven, Namespace: c.Group, Name: c.Name, Version: c.Version}
	if u, err := packageurl.FromString(c.PURL); err == nil && u.Type == string(inventory.Maven) {
		one.Namespace, one.Name, one.Version = u.Namespace, u.Name, u.Version
	}
	return one
}
