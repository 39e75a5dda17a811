package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"plimsoll/internal/tools/debian"
)

// known are the images whose content is known, by the parts that make them.
// Beside each lies a list of what is in it, NAME.tsv.
var known = map[string][]func(*builder, context.Context, *facts) ([]layer, error){
	"known": {
		(*builder).knownSystem, (*builder).knownGo, (*builder).knownNPM, (*builder).knownPython, (*builder).knownVendor, (*builder).knownModern,
		(*builder).knownStatic, (*builder).knownJava, (*builder).knownNotes,
	},
	"known-rpm": {(*builder).knownRPM, (*builder).knownVendor, (*builder).knownGo, (*builder).knownJava},
}

// A fact is one thing that is in the known image, and says how that is known
// without looking at the image.
type fact struct {
	kind    string // "package", "native", or "removed" for what must not be found
	name    string // package URL without version, or the product
	version string // upstream's, of a product
	path    string // of a product: the file that has it
}

// facts collects what is known, as lines.
type facts struct{ lines []string }

func (f *facts) add(all ...fact) {
	for _, a := range all {
		f.lines = append(f.lines, strings.Join([]string{a.kind, a.name, a.version, a.path}, "\t"))
	}
}

func (f *facts) write(file string) error {
	slices.Sort(f.lines)
	text := strings.Join(slices.Compact(f.lines), "\n") + "\n"
	return os.WriteFile(file, []byte(text), 0o644)
}

// knownImage builds the image name and writes its list.
func (b *builder) knownImage(ctx context.Context, name string) error {
	say("image %s", name)
	f := &facts{}
	var layers []layer
	for _, part := range known[name] {
		more, err := part(b, ctx, f)
		if err != nil {
			return err
		}
		layers = append(layers, more...)
	}
	if err := b.layout.image(name, runtime.GOARCH, layers); err != nil {
		return err
	}
	return f.write(filepath.Join(b.layout.dir, name+".tsv"))
}

// nano is installed in one layer and removed in the next.
const nano = "nano"

// knownSystem makes Debian's base system, a layer with more packages, and one
// that removes a package again.
func (b *builder) knownSystem(ctx context.Context, f *facts) ([]layer, error) {
	r := recipe{archive: "main", base: baseSystem, packages: []string{nano, "perl", "python3.11"}}
	layers, err := b.system(ctx, r)
	if err != nil {
		return nil, err
	}
	root, err := b.root(ctx, r.archive)
	if err != nil {
		return nil, err
	}
	all, err := root.Resolve(ctx, slices.Concat(r.base, r.packages)...)
	if err != nil {
		return nil, err
	}
	db, err := b.records(ctx, root, all)
	if err != nil {
		return nil, err
	}
	for i := range db.records {
		one := &db.records[i]
		kind := "package"
		if one.field("Package") == nano {
			kind = "removed"
		}
		f.add(fact{kind, "pkg:deb/debian/" + one.field("Package"), one.field("Version"), ""})
	}
	gone := slices.IndexFunc(db.records, func(r record) bool { return r.field("Package") == nano })
	removed, err := b.layout.once(keyOf("remove", fmt.Sprint(all)), "apt-get remove "+nano, func(t *tree) error {
		for _, name := range db.records[gone].files {
			if p := place(name); strings.HasPrefix(p, "usr/bin/") {
				if err := t.file(path.Join(path.Dir(p), ".wh."+path.Base(p)), 0o644, ""); err != nil {
					return err
				}
			}
		}
		for _, kind := range []string{"list", "md5sums", "conffiles"} {
			if err := t.file("var/lib/dpkg/info/.wh."+nano+"."+kind, 0o644, ""); err != nil {
				return err
			}
		}
		left := &database{records: slices.Delete(slices.Clone(db.records), gone, gone+1)}
		return left.write(t, len(left.records))
	})
	return append(layers, removed), err
}

// records returns dpkg's records of packages.
func (b *builder) records(ctx context.Context, root *debian.Root, packages []debian.Package) (*database, error) {
	paths, err := root.Download(ctx, packages)
	if err != nil {
		return nil, err
	}
	db := &database{}
	for _, deb := range paths {
		if err := db.add(ctx, deb); err != nil {
			return nil, err
		}
		one := &db.records[len(db.records)-1]
		err := eachFile(ctx, deb, func(h *tar.Header, _ io.Reader) error {
			one.files = append(one.files, strings.TrimPrefix(strings.TrimSuffix(h.Name, "/"), "."))
			return nil
		})
		if err != nil {
			return nil, err
		}
		if err := one.sum(ctx, deb); err != nil {
			return nil, err
		}
	}
	return db, nil
}

// upstream returns the version of upstream in one of Debian's.
func upstream(version string) string {
	if _, rest, ok := strings.Cut(version, ":"); ok {
		version = rest
	}
	if i := strings.LastIndexByte(version, '-'); i > 0 {
		version = version[:i]
	}
	for _, mark := range []string{"+dfsg", ".dfsg", "~dfsg", "+ds", "+really", "+debian"} {
		version, _, _ = strings.Cut(version, mark)
	}
	return version
}

// contentOf returns the file at name of an unpacked package, following links
// within it.
func contentOf(dir, name string) ([]byte, error) {
	matches, err := filepath.Glob(filepath.Join(dir, name))
	if err != nil || len(matches) == 0 {
		return nil, fmt.Errorf("no file %q in the package (%w)", name, err)
	}
	return os.ReadFile(matches[0])
}

// lines returns the non-empty lines of text.
func lines(text []byte) (out []string) {
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			out = append(out, string(line))
		}
	}
	return out
}
