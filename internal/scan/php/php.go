// Package php recognises what PHP programs are made of: the packages that
// Composer or PEAR installed, by their own records, as a second best those that a
// project's composer.lock says were meant to be installed, and WordPress with its
// plugins.
package php

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"path"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/metadata"
)

// Composer is a [scan.Extractor] of what Composer installed.
type Composer struct{}

// Locks is a [scan.Extractor] of Composer's lock files.
type Locks struct{}

var (
	_ scan.Extractor = Composer{}
	_ scan.Extractor = Locks{}
)

const maxDocument = 64 << 20 // bytes

// Name implements [scan.Extractor].
func (Composer) Name() string { return "composer" }

// Name implements [scan.Extractor].
func (Locks) Name() string { return "composer-lock" }

// Version implements [scan.Extractor].
func (Composer) Version() int { return 1 }

// Version implements [scan.Extractor].
func (Locks) Version() int { return 1 }

const (
	installed = "composer/installed.json"
	vendor    = "vendor"
)

// Wants implements [scan.Extractor]: composer/installed.json in the folder of
// packages, whatever a project calls that.
func (Composer) Wants(e image.Entry, _ []byte) bool {
	return strings.HasSuffix(e.Path, "/"+installed) || e.Path == installed
}

// Wants implements [scan.Extractor]. A lock file in an installed package is its
// makers' own.
func (Locks) Wants(e image.Entry, _ []byte) bool {
	return path.Base(e.Path) == "composer.lock" && !strings.Contains("/"+e.Path, "/"+vendor+"/") && metadata.Project(e.Path)
}

// Extract implements [scan.Extractor]: an object with a field packages as
// Composer 2 writes it, or the bare list of Composer 1.
func (Composer) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	var found inventory.Found
	var list metadata.List
	dir := strings.TrimSuffix(f.Path, installed)
	whole, err := asObject(f)
	if err != nil {
		return found, err
	}
	err = metadata.ReadJSON(whole, maxDocument, func(d metadata.JSON, key string) error {
		if key != "packages" {
			return d.Skip()
		}
		return d.Array(func(int) error {
			p, err := read(d)
			if err != nil || p.name == "" {
				return err
			}
			c := p.component()
			if inside, ok := metadata.Inside(dir, p.name); ok {
				found.Owned = append(found.Owned, inventory.Owned{Path: inside + "/", Package: c.Name, Type: inventory.Composer})
			}
			return list.Add(c)
		})
	})
	found.Components = list
	return found, err
}

// asObject returns the file with a bare list put into an object.
func asObject(f scan.File) (scan.File, error) {
	r := bufio.NewReader(f.Reader)
	first, err := r.Peek(1)
	if err != nil && !errors.Is(err, io.EOF) {
		return f, err
	}
	f.Reader = r
	if len(first) == 1 && first[0] == '[' {
		const before, after = `{"packages":`, `}`
		f.Reader = io.MultiReader(strings.NewReader(before), r, strings.NewReader(after))
		f.Size += int64(len(before) + len(after))
	}
	return f, nil
}

// Extract implements [scan.Extractor]. What is for development only is left out.
func (Locks) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	var list metadata.List
	err := metadata.ReadJSON(f, maxDocument, func(d metadata.JSON, key string) error {
		if key != "packages" {
			return d.Skip()
		}
		return d.Array(func(int) error {
			p, err := read(d)
			if err != nil || p.name == "" {
				return err
			}
			return list.Add(p.component())
		})
	})
	return list.Planned(path.Join(path.Dir(f.Path), vendor)), err
}

// pkg is what Composer says of a package.
type pkg struct {
	name, version string
	licences      []string
}

// read reads the object of one package.
func read(d metadata.JSON) (p pkg, err error) {
	err = d.Object(func(key string) (err error) {
		switch key {
		case "name":
			p.name, err = d.Text()
		case "version":
			p.version, err = d.Text()
		case "license":
			p.licences, err = licences(d)
		default:
			err = d.Skip()
		}
		return err
	})
	return p, err
}

const maxLicences = 64 // of one package

// licences reads a text or a list of texts.
func licences(d metadata.JSON) (out []string, err error) {
	v, err := d.Token()
	switch {
	case err != nil:
		return nil, err
	case v == json.Delim('{'):
		return nil, d.Rest()
	case v != json.Delim('['):
		if s, ok := v.(string); ok {
			out = []string{s}
		}
		return out, nil
	}
	for d.More() {
		s, err := d.Text()
		if err != nil {
			return nil, err
		}
		if s != "" && len(out) < maxLicences {
			out = append(out, s)
		}
	}
	_, err = d.Token()
	return out, err
}

// component returns the package: names are not told apart by case (purl-spec,
// type composer).
func (p pkg) component() inventory.Component {
	c := inventory.Component{Kind: inventory.Library, Type: inventory.Composer, Name: strings.ToLower(p.name), Version: p.version, Licences: p.licences}
	if maker, name, ok := strings.Cut(c.Name, "/"); ok && name != "" {
		c.Namespace, c.Name = maker, name
	}
	return c
}

// errMalformed says that a text is not what PHP writes.
var errMalformed = fault.As(fault.Invalid, errors.New("not what PHP serialises"))
