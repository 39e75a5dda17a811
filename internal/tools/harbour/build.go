package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"runtime"
	"strings"

	"plimsoll/internal/tools/debian"
)

// edition changes when the same inputs would be written in another way.
const edition = "2"

// A builder makes images from recipes.
type builder struct {
	cache   string
	machine debian.Machine
	layout  *layout
	mirrors debian.Mirrors
	roots   map[string]*debian.Root
}

// keyOf returns a short name for everything that goes into a layer.
func keyOf(parts ...string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(edition+"\x00"+runtime.GOARCH+"\x00"+strings.Join(parts, "\x00"))))[:32]
}

// build makes the image of r under the tag name, unless it has been made.
func (b *builder) build(ctx context.Context, name string, r recipe) error {
	stamp := b.layout.dir + "/made/" + name
	key := keyOf(fmt.Sprint(r, pythonPackages), r.sources())
	if have, err := os.ReadFile(stamp); err == nil && string(have) == key {
		return nil
	}
	say("image %s", name)
	layers, err := b.system(ctx, r)
	if err != nil {
		return err
	}
	languages := []func(context.Context, string) (layer, error){b.goProgram, b.npmPackages, b.pythonPackages}
	if r.bare {
		languages = nil
	}
	for _, make := range languages {
		l, err := make(ctx, r.set)
		if err != nil {
			return err
		}
		layers = append(layers, l)
	}
	if r.note != "" {
		l, err := b.layout.once(keyOf("note", r.note), "a note", func(t *tree) error { return t.file("etc/harbour", 0o644, r.note) })
		if err != nil {
			return err
		}
		layers = append(layers, l)
	}
	if err := b.layout.image(name, runtime.GOARCH, layers); err != nil {
		return err
	}
	return b.layout.write(stamp, []byte(key))
}

// root returns the private apt root for one of the archives.
func (b *builder) root(ctx context.Context, archive string) (*debian.Root, error) {
	if r, ok := b.roots[archive]; ok {
		return r, nil
	}
	if len(b.mirrors.Main) == 0 {
		m, err := debian.FindMirrors(ctx, b.machine, b.cache, say)
		if err != nil {
			return nil, err
		}
		b.mirrors, b.roots = m, map[string]*debian.Root{}
	}
	a := archives[archive]
	keyring := b.mirrors.Keyring
	if archive == "next" { // an older machine's keyring may not know it, but the release before vouches for its keys
		var err error
		if keyring, err = b.newerKeyring(ctx); err != nil {
			return nil, err
		}
	}
	suites := []string{a.suite}
	if a.recent {
		suites = append(suites, a.suite+"-updates")
	}
	list := []debian.Source{{URIs: b.mirrors.Main, Suites: suites, Components: []string{"main"}, SignedBy: keyring}}
	if a.recent {
		list = append(list, debian.Source{URIs: b.mirrors.Security, Suites: []string{a.suite + "-security"}, Components: []string{"main"}, SignedBy: keyring})
	}
	r, err := debian.NewRoot(ctx, b.cache, archive, list, say)
	if err != nil {
		return nil, fmt.Errorf("%w\nharbour: hint: if this mirror lacks %s, set %s to the URI of one that has it", err, a.suite, debian.MainVariable)
	}
	b.roots[archive] = r
	return r, nil
}

// newerKeyring unpacks Debian's keyring as the verified security archive has it.
func (b *builder) newerKeyring(ctx context.Context) (string, error) {
	root, err := b.root(ctx, "security")
	if err != nil {
		return "", err
	}
	packages, err := root.Find(ctx, "debian-archive-keyring")
	if err != nil {
		return "", err
	}
	dir := b.cache + "/keyring"
	if err := root.Unpack(ctx, packages, dir); err != nil {
		return "", err
	}
	return debian.Keyring(dir), nil
}
