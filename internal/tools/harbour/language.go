package main

import (
	"archive/tar"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// versions holds, by set, the files that pin what the language layers take, and
// the Go program. Go's files end in .txt, so that go and linters pass them by.
//
//go:embed testdata/old testdata/new testdata/pilot.go.txt
var versions embed.FS

// sources returns the text of all files of a set.
func sources(set string) string {
	var all strings.Builder
	for _, name := range []string{set + "/go.mod.txt", set + "/go.sum.txt", set + "/package.json", set + "/package-lock.json", "pilot.go.txt"} {
		b, err := versions.ReadFile("testdata/" + name)
		if err != nil {
			panic(err) // they are embedded
		}
		all.Write(b)
	}
	return all.String()
}

// sources returns the text of all files that the recipe's layers of languages
// are made from.
func (r recipe) sources() string {
	if r.bare {
		return ""
	}
	return sources(r.set)
}

// workspace puts files of the set into a new folder, under other names where
// they have some: from → to.
func (b *builder) workspace(set string, files map[string]string) (string, error) {
	dir, err := os.MkdirTemp(b.cache, "work-")
	if err != nil {
		return "", fmt.Errorf("make folder: %w", err)
	}
	for from, to := range files {
		text, err := versions.ReadFile(path.Join("testdata", strings.ReplaceAll(from, "SET", set)))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, to), text, 0o644)
		}
		if err != nil {
			return "", errors.Join(err, os.RemoveAll(dir))
		}
	}
	return dir, nil
}

// command runs a program in dir and returns an error with what it said.
func command(ctx context.Context, dir string, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// goProgram makes the layer of a Go program of ours, with modules of the set.
func (b *builder) goProgram(ctx context.Context, set string) (layer, error) {
	return b.layout.once(keyOf("go", sources(set)), "COPY pilot /usr/local/bin/pilot", func(t *tree) error {
		dir, err := b.workspace(set, map[string]string{"SET/go.mod.txt": "go.mod", "SET/go.sum.txt": "go.sum", "pilot.go.txt": "pilot.go"})
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		env := []string{"CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly"}
		if err := command(ctx, dir, env, "go", "build", "-trimpath", "-buildvcs=false", "-o", "out/pilot", "."); err != nil {
			return err
		}
		return t.folder(filepath.Join(dir, "out"), "usr/local/bin")
	})
}

// npmPackages makes the layer of an application with the npm packages of the set.
func (b *builder) npmPackages(ctx context.Context, set string) (layer, error) {
	return b.layout.once(keyOf("npm", sources(set)), "npm ci", func(t *tree) error {
		dir, err := b.workspace(set, map[string]string{"SET/package.json": "package.json", "SET/package-lock.json": "package-lock.json"})
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if err := command(ctx, dir, nil, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--cache", filepath.Join(b.cache, "npm")); err != nil {
			return err
		}
		return t.folder(dir, "srv/app")
	})
}

// pythonPackages makes the layer of Debian's Python packages, unpacked without a
// record as someone who copies them would.
func (b *builder) pythonPackages(ctx context.Context, set string) (layer, error) {
	root, err := b.root(ctx, pythonArchive[set])
	if err != nil {
		return layer{}, err
	}
	packages, err := root.Find(ctx, pythonPackages...)
	if err != nil {
		return layer{}, err
	}
	key := []string{"python"}
	for _, p := range packages {
		key = append(key, p.File)
	}
	return b.layout.once(keyOf(key...), "COPY site-packages /usr/local/lib/python3.11/site-packages", func(t *tree) error {
		paths, err := root.Download(ctx, packages)
		if err != nil {
			return err
		}
		for _, deb := range paths {
			if err := eachFile(ctx, deb, func(h *tar.Header, body io.Reader) error { return sitePackage(t, h, body) }); err != nil {
				return fmt.Errorf("unpack %s: %w", filepath.Base(deb), err)
			}
		}
		return nil
	})
}

// sitePackage writes what belongs to Python, where pip would put it.
func sitePackage(t *tree, h *tar.Header, body io.Reader) error {
	name, ok := strings.CutPrefix(h.Name, "./usr/lib/python3/dist-packages/")
	if !ok || name == "" || h.Typeflag == tar.TypeLink {
		return nil
	}
	h.Name = path.Join("usr/local/lib/python3.11/site-packages", name)
	if err := t.parents(h.Name); err != nil {
		return err
	}
	return t.copy(h, body)
}
