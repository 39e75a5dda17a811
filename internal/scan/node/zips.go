package node

import (
	"context"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/metadata"
	"plimsoll/internal/scan/zipdir"
)

// Zips is a [scan.Extractor] of the archives in Yarn's cache, which programs
// are run from where Yarn makes no node_modules (Plug'n'Play).
type Zips struct{}

var _ scan.Extractor = Zips{}

// Name implements [scan.Extractor].
func (Zips) Name() string { return "yarn-cache" }

// Version implements [scan.Extractor].
func (Zips) Version() int { return 1 }

// Wants implements [scan.Extractor].
func (Zips) Wants(e image.Entry, head []byte) bool {
	return strings.HasSuffix(e.Path, ".zip") && len(head) > 3 && string(head[:4]) == "PK\x03\x04" &&
		(strings.Contains(e.Path, ".yarn/cache/") || strings.Contains(e.Path, ".yarn/berry/cache/"))
}

// Extract implements [scan.Extractor].
func (Zips) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	content, err := f.Spill()
	if err != nil {
		return inventory.Found{}, err
	}
	var found metadata.List
	err = zipdir.Each(content, content.Size(), func(e zipdir.Entry) error {
		dir, ok := strings.CutSuffix(e.Name, "/package.json")
		if !ok || !installed(dir) {
			return nil
		}
		r, err := e.Open(maxPackage)
		if err != nil {
			return err
		}
		c, err := parse(scan.File{Entry: image.Entry{Path: e.Name, Size: e.Size}, Reader: r})
		if err != nil {
			return fault.Errorf(fault.Invalid, "%q: %w", e.Name, err)
		}
		if c.Name == "" || c.Version == "" {
			return nil
		}
		c.Evidence = []inventory.Evidence{{Path: f.Path + "!/" + e.Name}}
		return found.Add(c)
	})
	return inventory.Found{Components: found}, err
}
