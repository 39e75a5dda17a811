package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"plimsoll/internal/tools/debian"
)

// system makes the layers of Debian packages: the base, and one or more above it.
// Each has the database of all below it, too, as a real build's would.
func (b *builder) system(ctx context.Context, r recipe) ([]layer, error) {
	root, err := b.root(ctx, r.archive)
	if err != nil {
		return nil, err
	}
	base, err := root.Resolve(ctx, r.base...)
	if err != nil {
		return nil, err
	}
	all, err := root.Resolve(ctx, slices.Concat(r.base, r.packages)...)
	if err != nil {
		return nil, err
	}
	first, err := b.debs(ctx, root, "Debian's base system", nil, base)
	if err != nil {
		return nil, err
	}
	layers, below := []layer{first}, base
	more := slices.DeleteFunc(all, func(p debian.Package) bool { return slices.Contains(base, p) })
	for _, part := range split(more, max(r.split, 1)) {
		if len(part) == 0 {
			continue
		}
		next, err := b.debs(ctx, root, "apt-get install "+strings.Join(r.packages, " "), below, part)
		if err != nil {
			return nil, err
		}
		layers, below = append(layers, next), slices.Concat(below, part)
	}
	return layers, nil
}

// split deals packages out into n parts of about the same size: the largest
// first, each to the part that has least.
func split(packages []debian.Package, n int) [][]debian.Package {
	parts, sizes := make([][]debian.Package, n), make([]int64, n)
	sorted := slices.SortedFunc(slices.Values(packages), func(a, b debian.Package) int {
		return cmp.Or(cmp.Compare(b.Size, a.Size), strings.Compare(a.File, b.File))
	})
	for _, p := range sorted {
		least := slices.Index(sizes, slices.Min(sizes))
		parts[least], sizes[least] = append(parts[least], p), sizes[least]+p.Size
	}
	return parts
}

// debs makes a layer with the files of packages; those of below are in the
// layers below, and in the database.
func (b *builder) debs(ctx context.Context, root *debian.Root, by string, below, packages []debian.Package) (layer, error) {
	slices.SortFunc(packages, func(a, b debian.Package) int { return strings.Compare(a.File, b.File) })
	parts := []string{by}
	for _, p := range slices.Concat(below, packages) {
		parts = append(parts, p.File)
	}
	return b.layout.once(keyOf(parts...), by, func(t *tree) error {
		paths, err := root.Download(ctx, packages)
		if err != nil {
			return err
		}
		old, err := root.Download(ctx, below)
		if err != nil {
			return err
		}
		return fill(ctx, t, old, paths)
	})
}

// fill writes the layer's files and dpkg's database.
func fill(ctx context.Context, t *tree, below, paths []string) error {
	db := &database{}
	for _, deb := range below {
		if err := db.add(ctx, deb); err != nil {
			return err
		}
		if err := db.records[len(db.records)-1].sum(ctx, deb); err != nil {
			return err
		}
	}
	if len(below) == 0 {
		for _, name := range []string{"bin", "lib", "lib64", "sbin"} {
			if err := t.link(name, "usr/"+name); err != nil {
				return err
			}
		}
	}
	for _, deb := range paths {
		if err := db.add(ctx, deb); err != nil {
			return err
		}
		record := &db.records[len(db.records)-1]
		if err := eachFile(ctx, deb, func(h *tar.Header, body io.Reader) error { return unpack(t, record, h, body) }); err != nil {
			return fmt.Errorf("unpack %s: %w", filepath.Base(deb), err)
		}
	}
	return db.write(t, len(below))
}

// unpack writes one file of a package, except documentation, as slim images do,
// and notes it in the package's record.
func unpack(t *tree, record *record, h *tar.Header, body io.Reader) error {
	name := strings.TrimPrefix(strings.TrimSuffix(h.Name, "/"), ".")
	record.files = append(record.files, cmp.Or(name, "/."))
	for _, dir := range []string{"usr/share/doc/", "usr/share/man/", "usr/share/locale/", "usr/share/info/", "usr/share/lintian/"} {
		if strings.HasPrefix(place(h.Name), dir) && !strings.HasSuffix(h.Name, "/copyright") && h.Typeflag != tar.TypeDir {
			return nil
		}
	}
	if account, ok := accounts[name]; ok { // base-passwd's script, which nobody runs here, would copy it
		text, err := io.ReadAll(body)
		if err != nil {
			return fmt.Errorf("read %q: %w", name, err)
		}
		if err := t.file(account, 0o644, string(text)); err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	sum := md5.New()
	if err := t.copy(h, io.TeeReader(body, sum)); err != nil {
		return err
	}
	if slices.Contains(record.conffiles, name) {
		record.sums = append(record.sums, fmt.Sprintf(" %s %x", name, sum.Sum(nil)))
	}
	return nil
}

// accounts are the files that base-passwd keeps, by its masters' names.
var accounts = map[string]string{
	"/usr/share/base-passwd/passwd.master": "etc/passwd",
	"/usr/share/base-passwd/group.master":  "etc/group",
}

// eachFile reads the files of a package.
func eachFile(ctx context.Context, deb string, fn func(*tar.Header, io.Reader) error) error {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("read package: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("read package: %w", err)
	}
	err = eachEntry(out, fn)
	_, rest := io.Copy(io.Discard, out)
	return errors.Join(err, rest, cmd.Wait())
}

func eachEntry(r io.Reader, fn func(*tar.Header, io.Reader) error) error {
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read tar: %w", err)
		}
		if err := fn(h, t); err != nil {
			return err
		}
	}
}
