// Package cpan recognises Perl distributions that cpanm, cpm or Carton installed,
// by the file .meta/NAME-VERSION/install.json, and takes from .packlist which
// programs came with which distribution (ExtUtils::Packlist).
package cpan

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

// Extractor is a [scan.Extractor] of installed distributions.
type Extractor struct{}

var _ scan.Extractor = Extractor{}

const maxFile = 16 << 20 // bytes

// Name implements [scan.Extractor].
func (Extractor) Name() string { return "cpan" }

// Version implements [scan.Extractor].
func (Extractor) Version() int { return 1 }

// Wants implements [scan.Extractor].
func (Extractor) Wants(e image.Entry, _ []byte) bool {
	switch path.Base(e.Path) {
	case "install.json":
		return path.Base(path.Dir(path.Dir(e.Path))) == ".meta"
	case ".packlist":
		return strings.Contains(e.Path, "/auto/")
	}
	return false
}

// Extract implements [scan.Extractor].
func (Extractor) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	if path.Base(f.Path) == ".packlist" {
		return packlist(f)
	}
	var dist, version, pathname string
	err := metadata.ReadJSON(f, maxFile, func(d metadata.JSON, key string) (err error) {
		switch key {
		case "dist":
			dist, err = d.Text()
		case "version":
			version, err = d.Text()
		case "pathname":
			pathname, err = d.Text()
		default:
			err = d.Skip()
		}
		return err
	})
	if err == nil && dist == "" {
		err = fault.Errorf(fault.Invalid, "%q names no distribution", path.Base(f.Path))
	}
	if err != nil {
		return inventory.Found{}, err
	}
	c := inventory.Component{Kind: inventory.Library, Type: inventory.CPAN, Namespace: author(pathname), Name: dist, Version: version}
	if i := strings.LastIndexByte(dist, '-'); i > 0 && strings.TrimLeft(dist[i+1:], "v") == strings.TrimLeft(version, "v") {
		c.Name = dist[:i]
	}
	return inventory.Found{Components: []inventory.Component{c}}, nil
}

// author returns whose distribution "O/OA/OALDERS/URI-5.35.tar.gz" is.
func author(pathname string) string {
	parts := strings.Split(pathname, "/")
	if len(parts) < 4 || len(parts[0]) != 1 || !strings.HasPrefix(parts[2], parts[0]) {
		return ""
	}
	return strings.ToUpper(parts[2])
}

// packlist reads a list of the files that were installed, each with its full
// path and perhaps attributes behind it. Its folder names the distribution:
// auto/HTTP/Tiny/.packlist.
func packlist(f scan.File) (inventory.Found, error) {
	_, name, _ := strings.Cut(path.Dir(f.Path), "/auto/")
	name = strings.ReplaceAll(name, "/", "-")
	var found inventory.Found
	err := metadata.Lines(f, maxFile, func(line string) error {
		line, _, _ = strings.Cut(line, " type=")
		if !strings.HasPrefix(line, "/") || !metadata.MayRun(line) {
			return nil
		}
		if p, ok := metadata.Inside(".", line); ok {
			found.Owned = append(found.Owned, inventory.Owned{Path: p, Package: name, Type: inventory.CPAN})
		}
		if len(found.Owned) > scan.MaxComponents {
			return fault.Errorf(fault.Invalid, "more than %d files", scan.MaxComponents)
		}
		return nil
	})
	return found, err
}
