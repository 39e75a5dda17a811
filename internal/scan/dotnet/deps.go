// Package dotnet recognises what .NET programs are made of: by NAME.deps.json,
// which the host itself goes by, beside a program or in one that is a single
// file; by the version resource of assemblies that no such file names; by the
// packages in NuGet's own folder; and, as a second best, by packages.lock.json.
package dotnet

import (
	"context"
	"path"
	"slices"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/metadata"
)

// Deps is a [scan.Extractor] of NAME.deps.json (.NET SDK, "Runtime configuration
// files").
type Deps struct{}

var _ scan.Extractor = Deps{}

const (
	depsSuffix  = ".deps.json"
	maxDocument = 32 << 20 // bytes
	maxAssets   = scan.MaxComponents
)

// Name implements [scan.Extractor].
func (Deps) Name() string { return "dotnet-deps" }

// Version implements [scan.Extractor].
func (Deps) Version() int { return 1 }

// Wants implements [scan.Extractor].
func (Deps) Wants(e image.Entry, _ []byte) bool { return strings.HasSuffix(e.Path, depsSuffix) }

// library is an entry of libraries, "NAME/VERSION".
type library struct{ name, version, kind string }

// deps is what matters of the document.
type deps struct {
	libraries []library
	assets    map[string][]string // by "NAME/VERSION": files, from the program's folder
	count     int                 // of all files
}

// Extract implements [scan.Extractor]. Where targets say which files a package
// brings, one that brings none is not there: a package of packages, or one that
// the framework replaces.
func (Deps) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	doc := deps{assets: map[string][]string{}}
	err := metadata.ReadJSON(f, maxDocument, func(d metadata.JSON, key string) error {
		switch key {
		case "targets":
			return d.Object(func(string) error {
				return d.Object(func(library string) error { return doc.target(d, library) })
			})
		case "libraries":
			return d.Object(func(id string) error { return doc.library(d, id) })
		}
		return d.Skip()
	})
	found := doc.found(path.Dir(f.Path), strings.TrimSuffix(path.Base(f.Path), depsSuffix))
	if c, ok := runtime(f.Path); ok && err == nil {
		found.Components = append(found.Components, c)
	}
	return found, err
}

// library reads an entry of libraries.
func (doc *deps) library(d metadata.JSON, id string) error {
	l := library{name: id}
	l.name, l.version, _ = strings.Cut(id, "/")
	err := d.Object(func(key string) (err error) {
		if key != "type" {
			return d.Skip()
		}
		l.kind, err = d.Text()
		return err
	})
	if err != nil || l.name == "" {
		return err
	}
	if doc.libraries = append(doc.libraries, l); len(doc.libraries) > scan.MaxComponents {
		return fault.Errorf(fault.Invalid, "more than %d libraries", scan.MaxComponents)
	}
	return nil
}

// target reads what a library brings to a target.
func (doc *deps) target(d metadata.JSON, id string) error {
	return d.Object(func(key string) error {
		switch key {
		case "runtime", "native", "resources", "runtimeTargets":
			return d.Object(func(asset string) error { return doc.asset(d, id, key, asset) })
		}
		return d.Skip()
	})
}

// asset reads one file. A published program has the files of its packages in its
// own folder: resources in one for their language, what is for one platform only
// where the package had it.
func (doc *deps) asset(d metadata.JSON, id, group, asset string) error {
	if doc.count++; doc.count > maxAssets {
		return fault.Errorf(fault.Invalid, "more than %d files", maxAssets)
	}
	place := asset
	switch group {
	case "runtime", "native":
		place = path.Base(asset)
	case "resources":
		place = path.Join(path.Base(path.Dir(asset)), path.Base(asset))
	}
	doc.assets[id] = append(doc.assets[id], place)
	return d.Skip()
}

// found returns the components of the program of that name in dir, and which
// files are theirs: for the program itself also the host that starts it.
func (doc *deps) found(dir, program string) (out inventory.Found) {
	told := slices.ContainsFunc(doc.libraries, func(l library) bool { return l.kind == "package" && len(doc.assets[l.name+"/"+l.version]) > 0 })
	for _, l := range doc.libraries {
		id := l.name + "/" + l.version
		assets := doc.assets[id]
		c, ok := l.component()
		if !ok || (l.kind == "package" && told && len(assets) == 0) {
			continue
		}
		out.Components = append(out.Components, c)
		if l.kind == "project" && l.name == program && program != "" {
			assets = append(assets, program)
		}
		for _, a := range assets {
			if p, ok := metadata.Inside(dir, strings.TrimLeft(a, "/")); ok && !slices.Contains([]string{"_._", "_"}, path.Base(p)) {
				out.Owned = append(out.Owned, inventory.Owned{Path: p, Package: c.Name, Type: inventory.NuGet})
			}
		}
		delete(doc.assets, id) // a library that is listed twice brings its files once
	}
	return out
}

// component returns the library as what its type says: a package of NuGet's, the
// runtime that a program carries, one of the program's own projects, or an
// assembly that was only referred to. Others bring nothing.
func (l *library) component() (inventory.Component, bool) {
	c := inventory.Component{Kind: inventory.Library, Type: inventory.NuGet, Name: l.name, Version: l.version}
	switch l.kind {
	case "package":
	case "runtimepack":
		c.Name = strings.TrimPrefix(c.Name, "runtimepack.")
	case "project":
		c.Kind = inventory.Application
	case "reference":
		c.Evidence = []inventory.Evidence{{Confidence: byAssembly}}
	default:
		return c, false
	}
	return c, c.Name != ""
}

// products are the shared frameworks by the folder that they are installed in,
// and the NVD's names for them.
var products = map[string]struct{ name, cpe string }{
	"Microsoft.NETCore.App":        {"dotnet-runtime", ".net"},
	"Microsoft.AspNetCore.App":     {"aspnetcore-runtime", "asp.net_core"},
	"Microsoft.WindowsDesktop.App": {"windowsdesktop-runtime", ".net"},
}

// runtime returns the shared framework that the file at p describes, in
// shared/NAME/VERSION/NAME.deps.json.
func runtime(p string) (inventory.Component, bool) {
	dir := path.Dir(p)
	version, name := path.Base(dir), path.Base(path.Dir(dir))
	if _, ok := products[name]; !ok || path.Base(p) != name+depsSuffix || version == "" || version[0] < '0' || version[0] > '9' {
		return inventory.Component{}, false
	}
	return framework(name, version), true
}

// framework returns a version of a shared framework.
func framework(name, version string) inventory.Component {
	p := products[name]
	c := inventory.Component{Kind: inventory.Application, Type: inventory.Generic, Name: p.name, Version: version, Vendor: "Microsoft"}
	if strings.Trim(version, "abcdefghijklmnopqrstuvwxyz0123456789.-") == "" {
		c.CPE = "cpe:2.3:a:microsoft:" + p.cpe + ":" + strings.ReplaceAll(version, "-", `\-`) + ":*:*:*:*:*:*:*"
	}
	return c
}
