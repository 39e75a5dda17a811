package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestPlace(t *testing.T) {
	for path, want := range map[string]string{
		"./bin/sh": "usr/bin/sh", "./lib64/ld.so": "usr/lib64/ld.so", "lib/": "usr/lib",
		"./usr/bin/x": "usr/bin/x", "./etc/passwd": "etc/passwd", "./library/x": "library/x", "./": "", "../../etc": "etc",
	} {
		if got := place(path); got != want {
			t.Errorf("place(%q) = %q, want %q", path, got, want)
		}
	}
}

// TestTree writes what packages hold: folders that several have, a hard link
// across the merge, a file below folders that nobody made.
func TestTree(t *testing.T) {
	var b bytes.Buffer
	w := newTree(&b)
	for _, h := range []*tar.Header{
		{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755},
		{Typeflag: tar.TypeDir, Name: "./bin/", Mode: 0o755},
		{Typeflag: tar.TypeDir, Name: "./usr/bin/", Mode: 0o700},
		{Typeflag: tar.TypeReg, Name: "./bin/su", Mode: 0o4755, Uid: 3, Gid: 4},
		{Typeflag: tar.TypeLink, Name: "./usr/bin/sg", Linkname: "./bin/su"},
	} {
		if err := w.copy(h, strings.NewReader("")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.file("etc/deep/file", 0o600, "text"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	type entry struct {
		Name, Link string
		Mode       int64
		UID        int
	}
	var got []entry
	if err := eachEntry(&b, func(h *tar.Header, _ io.Reader) error {
		got = append(got, entry{h.Name, h.Linkname, h.Mode, h.Uid})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := []entry{
		{"usr/bin/", "", 0o755, 0},
		{"usr/bin/su", "", 0o4755, 3},
		{"usr/bin/sg", "usr/bin/su", 0, 0},
		{"etc/", "", 0o755, 0},
		{"etc/deep/", "", 0o755, 0},
		{"etc/deep/file", "", 0o600, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestDatabase(t *testing.T) {
	db := &database{records: []record{
		{name: "below", control: "Package: below\nVersion: 1\n"},
		{name: "libx:amd64", control: "Package: libx\nVersion: 2\n", md5sums: "0 etc/x\n", conffiles: []string{"/etc/x"}, files: []string{"/.", "/etc/x"}, sums: []string{" /etc/x 0"}},
	}}
	var b bytes.Buffer
	w := newTree(&b)
	if err := db.write(w, 1); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	if err := eachEntry(&b, func(h *tar.Header, r io.Reader) error {
		text, err := io.ReadAll(r)
		if h.Typeflag == tar.TypeReg {
			files[strings.TrimPrefix(h.Name, "var/lib/dpkg/")] = string(text)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"status": "Package: below\nStatus: install ok installed\nVersion: 1\n\n" +
			"Package: libx\nStatus: install ok installed\nVersion: 2\nConffiles:\n /etc/x 0\n\n",
		"info/format":               "1\n",
		"info/libx:amd64.list":      "/.\n/etc/x\n",
		"info/libx:amd64.md5sums":   "0 etc/x\n",
		"info/libx:amd64.conffiles": "/etc/x\n",
	}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// TestLayout makes the same image in two layouts and again in one.
func TestLayout(t *testing.T) {
	fill := func(w *tree) error { return w.file("etc/x", 0o644, "x") }
	var digests []string
	for range 2 {
		l, err := openLayout(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		made, err := l.once("key", "test", fill)
		if err != nil {
			t.Fatal(err)
		}
		again, err := l.once("key", "test", func(*tree) error { t.Error("the layer was made twice"); return nil })
		if err != nil || again.DiffID != made.DiffID {
			t.Errorf("once gave %v, then %v, %v", made, again, err)
		}
		for _, tag := range []string{"a", "b", "a"} {
			if err := l.image(tag, "amd64", []layer{made}); err != nil {
				t.Fatal(err)
			}
		}
		var index v1.Index
		b, err := os.ReadFile(filepath.Join(l.dir, v1.ImageIndexFile))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &index); err != nil {
			t.Fatal(err)
		}
		if len(index.Manifests) != 2 {
			t.Errorf("the index has %d manifests, want a and b", len(index.Manifests))
		}
		digests = append(digests, index.Manifests[0].Digest.String())
	}
	if digests[0] != digests[1] {
		t.Errorf("equal input gave %v", digests)
	}
}

// TestLayerThatFails leaves nothing behind.
func TestLayerThatFails(t *testing.T) {
	l, err := openLayout(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.once("key", "test", func(*tree) error { return io.ErrUnexpectedEOF }); err == nil {
		t.Fatal("no error")
	}
	left, err := filepath.Glob(filepath.Join(l.dir, "*", "*", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if left, err = filepath.Glob(filepath.Join(l.dir, "layer-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestRecipesNameWhatThereIs(t *testing.T) {
	for name, r := range recipes {
		if r.bare {
			continue
		}
		if _, ok := archives[r.archive]; !ok {
			t.Errorf("%s: no archive %q", name, r.archive)
		}
		if _, ok := archives[pythonArchive[r.set]]; !ok {
			t.Errorf("%s: no archive for the set %q", name, r.set)
		}
		if sources(r.set) == "" {
			t.Errorf("%s: the set %q is empty", name, r.set)
		}
	}
}
