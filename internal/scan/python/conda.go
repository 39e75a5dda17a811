package python

import (
	"context"
	"encoding/hex"
	"path"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/metadata"
)

// Conda is a [scan.Extractor] of the packages of a conda environment: each has a
// record conda-meta/NAME-VERSION-BUILD.json, which lists its files.
type Conda struct{}

var _ scan.Extractor = Conda{}

// Name implements [scan.Extractor].
func (Conda) Name() string { return "conda" }

// Version implements [scan.Extractor].
func (Conda) Version() int { return 1 }

// Wants implements [scan.Extractor].
func (Conda) Wants(e image.Entry, _ []byte) bool {
	dir, name := path.Split(e.Path)
	return strings.HasSuffix(dir, "conda-meta/") && strings.HasSuffix(name, ".json")
}

// Extract implements [scan.Extractor].
func (Conda) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	r := condaRecord{prefix: path.Dir(path.Dir(f.Path)), sums: map[string]string{}}
	err := metadata.ReadJSON(f, maxRecord, r.field)
	if err == nil && r.name == "" {
		err = fault.Errorf(fault.Invalid, "%q has no name", path.Base(f.Path))
	}
	if r.name == "" {
		return inventory.Found{}, err
	}
	c := inventory.Component{Kind: inventory.Library, Type: inventory.Conda, Name: r.name, Version: r.version}
	if r.licence != "" {
		c.Licences = []string{r.licence}
	}
	found := inventory.Found{Components: []inventory.Component{c}}
	for _, name := range r.files {
		if p, ok := metadata.Inside(r.prefix, name); ok {
			found.Owned = append(found.Owned, inventory.Owned{Path: p, Package: r.name, Type: inventory.Conda, Sum: r.sums[name]})
		}
	}
	return found, err
}

// condaRecord is what is read of a record.
type condaRecord struct {
	prefix                 string
	name, version, licence string
	files                  []string          // those that may be run
	sums                   map[string]string // of them, where the record has them
}

func (r *condaRecord) field(d metadata.JSON, key string) (err error) {
	switch key {
	case "name":
		r.name, err = d.Text()
	case "version":
		r.version, err = d.Text()
	case "license":
		r.licence, err = d.Text()
	case "files":
		r.files = nil
		err = d.Array(func(int) error {
			name, err := d.Text()
			if err != nil || !metadata.MayRun(name) {
				return err
			}
			if r.files = append(r.files, name); len(r.files) > scan.MaxComponents {
				return fault.Errorf(fault.Invalid, "more than %d files", scan.MaxComponents)
			}
			return nil
		})
	case "paths_data":
		err = d.Object(func(key string) error {
			if key != "paths" {
				return d.Skip()
			}
			return d.Array(func(int) error { return r.path(d) })
		})
	default:
		err = d.Skip()
	}
	return err
}

// path reads one entry of paths_data.paths. Where conda wrote the prefix into
// the file, sha256_in_prefix is of what is there.
func (r *condaRecord) path(d metadata.JSON) error {
	var name, packed, here, kind string
	err := d.Object(func(key string) (err error) {
		switch key {
		case "_path":
			name, err = d.Text()
		case "sha256":
			packed, err = d.Text()
		case "sha256_in_prefix":
			here, err = d.Text()
		case "path_type":
			kind, err = d.Text()
		default:
			err = d.Skip()
		}
		return err
	})
	if here == "" {
		here = packed
	}
	if err != nil || kind != "hardlink" || len(here) != 64 || !metadata.MayRun(name) || len(r.sums) > scan.MaxComponents {
		return err
	}
	if _, err := hex.DecodeString(here); err == nil {
		r.sums[name] = "sha256:" + strings.ToLower(here)
	}
	return nil
}
