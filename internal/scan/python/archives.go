package python

import (
	"context"
	"io"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/metadata"
	"plimsoll/internal/scan/zipdir"
)

// Archives is a [scan.Extractor] of what lies packed in wheels, eggs and zip
// applications (PEP 441; .pex carries whole distributions).
type Archives struct{}

var _ scan.Extractor = Archives{}

// Name implements [scan.Extractor].
func (Archives) Name() string { return "python-archive" }

// Version implements [scan.Extractor].
func (Archives) Version() int { return 1 }

// Wants implements [scan.Extractor]. Zip applications begin with a line that
// names the interpreter.
func (Archives) Wants(e image.Entry, head []byte) bool {
	if len(head) < 4 || strings.Contains(e.Path, "/test/") || strings.Contains(e.Path, "/tests/") { // CPython's own have some
		return false
	}
	switch i := strings.LastIndexByte(e.Path, '.'); e.Path[max(i, 0):] {
	case ".whl", ".egg":
		return string(head[:4]) == "PK\x03\x04"
	case ".pyz", ".pyzw", ".pex":
		return string(head[:2]) == "#!" || string(head[:4]) == "PK\x03\x04"
	}
	return false
}

// Extract implements [scan.Extractor].
func (Archives) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	content, err := f.Spill()
	if err != nil {
		return inventory.Found{}, err
	}
	var found metadata.List
	err = zipdir.Each(content, content.Size(), func(e zipdir.Entry) error {
		if !strings.HasSuffix(e.Name, ".dist-info/METADATA") && e.Name != "EGG-INFO/PKG-INFO" && !strings.HasSuffix(e.Name, "/EGG-INFO/PKG-INFO") {
			return nil
		}
		r, err := e.Open(64 << 20)
		if err != nil {
			return err
		}
		c, err := parse(io.LimitReader(r, maxHeader))
		if err != nil {
			return fault.Errorf(fault.Invalid, "%q: %w", e.Name, err)
		}
		if c.Name == "" {
			return fault.Errorf(fault.Invalid, "%q has no field Name", e.Name)
		}
		c.Evidence = []inventory.Evidence{{Path: f.Path + "!/" + e.Name}}
		return found.Add(c)
	})
	return inventory.Found{Components: found}, err
}
