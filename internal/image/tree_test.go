package image_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
)

func looseOpener() *image.Opener { return &image.Opener{Loose: true} }

// openTree opens what must be a loose image.
func openTree(t testing.TB, name string) *image.Image {
	t.Helper()
	m, err := looseOpener().Open(t.Context(), name, "")
	if err != nil {
		t.Fatal(err)
	}
	if !m.Loose() || m.Manifest.Digest != "" || len(m.Layers) != 1 || m.Layers[0].Digest != "" {
		t.Fatalf("%+v", m)
	}
	return m
}

// listed walks a loose image and returns a line for each entry.
func listed(t testing.TB, m *image.Image, caps image.Caps) (lines []string, walked image.Walked, err error) {
	t.Helper()
	walked, err = m.Walk(t.Context(), 0, caps, func(e image.Entry, r io.Reader) error {
		b, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if e.Type == image.Regular && int64(len(b)) != e.Size {
			t.Errorf("%s: %d bytes, said %d", e.Path, len(b), e.Size)
		}
		lines = append(lines, strings.TrimRight(fmt.Sprintf("%s %d %o %s%.10s", e.Path, e.Type, e.Mode, e.Link, b), " "))
		return nil
	})
	return lines, walked, err
}

// hull makes a root file system with all that may lie in one.
func hull(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	at := func(name string) string { return filepath.Join(root, name) }
	for name, content := range map[string]string{
		"bin/sh": "#!shell", "etc/os-release": "ID=x", ".wh.hidden": "no whiteout", "new\nline": "odd", "large": strings.Repeat("0123456789", 10_000), "empty": "",
	} {
		must(t, os.MkdirAll(filepath.Dir(at(name)), 0o755))
		must(t, os.WriteFile(at(name), []byte(content), 0o644))
	}
	must(t, os.Chmod(at("bin/sh"), 0o755|os.ModeSetuid))
	must(t, os.Link(at("bin/sh"), at("bin/zsh")))
	must(t, os.Symlink("/etc/passwd", at("outside")))
	must(t, os.Symlink("..", at("bin/up")))
	must(t, os.Symlink("loop", at("loop")))
	must(t, syscall.Mkfifo(at("pipe"), 0o600))
	return root
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFolder(t *testing.T) {
	root := hull(t)
	must(t, os.Chmod(root, 0o755))
	m := openTree(t, "dir:"+root)
	want := []string{
		". 1 755", ".wh.hidden 0 644 no whiteou", "bin 1 755", "bin/sh 0 4755 #!shell", "bin/up 2 777 ..", "bin/zsh 3 4755 bin/sh",
		"empty 0 644", "etc 1 755", "etc/os-release 0 644 ID=x", "large 0 644 0123456789", "loop 2 777 loop", "new\nline 0 644 odd",
		"outside 2 777 /etc/passwd",
	}
	for range 2 { // a loose image may be walked again
		got, walked, err := listed(t, m, image.Caps{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
		if walked.Count != len(want) || walked.Size != 100_025 || walked.Blob != "" || walked.DiffID != "" {
			t.Errorf("walked %+v", walked)
		}
	}
}

func TestSingleFile(t *testing.T) {
	root := hull(t)
	got, _, err := listed(t, openTree(t, "file:"+filepath.Join(root, "bin/sh")), image.Caps{})
	if diff := cmp.Diff([]string{"sh 0 4755 #!shell"}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestUnreadablePartsOfAFolderAreSaidAndTheRestIsRead(t *testing.T) {
	root := hull(t)
	deep := root
	for range 260 { // deeper than any image
		deep = filepath.Join(deep, "d")
	}
	must(t, os.MkdirAll(deep, 0o755))
	got, _, err := listed(t, openTree(t, "dir:"+root), image.Caps{})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "too deep") {
		t.Errorf("err = %v", err)
	}
	if last := got[len(got)-1]; !strings.HasPrefix(last, "outside") {
		t.Errorf("ends with %q", last)
	}
	var refused []string
	_, _, err = listed(t, openTree(t, "dir:"+root), image.Caps{Refused: func(name string, err error) { refused = append(refused, err.Error()) }})
	if err != nil || len(refused) != 1 || !strings.Contains(refused[0], "too deep") {
		t.Errorf("refused %q, %v", refused, err)
	}
}

func TestAFileThatBecomesShorter(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"a", "b"} {
		must(t, os.WriteFile(filepath.Join(root, name), make([]byte, 1<<20), 0o600))
	}
	var sizes []int
	_, err := openTree(t, "dir:"+root).Walk(t.Context(), 0, image.Caps{}, func(e image.Entry, r io.Reader) error {
		if e.Type != image.Regular {
			return nil
		}
		if e.Path == "a" {
			must(t, os.Truncate(filepath.Join(root, "a"), 10_000))
		}
		b, err := io.ReadAll(r)
		sizes = append(sizes, len(b))
		return err
	})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), `"a": it became shorter`) {
		t.Errorf("err = %v", err)
	}
	if diff := cmp.Diff([]int{10_000, 1 << 20}, sizes); diff != "" {
		t.Errorf("sizes (-want +got):\n%s", diff)
	}
}

func TestFoldersAreBounded(t *testing.T) {
	m := openTree(t, "dir:"+hull(t))
	for name, caps := range map[string]image.Caps{"entries": {Entries: 5}, "bytes": {Bytes: 50_000}} {
		if _, _, err := listed(t, m, caps); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "more than") {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Walk(ctx, 0, image.Caps{}, func(image.Entry, io.Reader) error { return nil }); ctx.Err() == nil || err == nil {
		t.Errorf("a walk that was called off: %v", err)
	}
}

func TestLooseImagesThatAreRefused(t *testing.T) {
	root := hull(t)
	archive := filepath.Join(root, "app.tar")
	must(t, os.WriteFile(archive, tarOf(t, named("a", "b")), 0o600))
	for name, want := range map[string]fault.Kind{
		"dir:" + filepath.Join(root, "bin/sh"): fault.Invalid, "dir:" + filepath.Join(root, "none"): fault.NotFound,
		"file:" + root: fault.Invalid, "file:" + filepath.Join(root, "none"): fault.NotFound, "file:" + filepath.Join(root, "pipe"): fault.Invalid,
		"file:" + archive: fault.Invalid,
	} {
		if _, err := looseOpener().Open(t.Context(), name, ""); !fault.Is(err, want) {
			t.Errorf("%s: %v, want it %v", name, err, want)
		}
	}
	for _, name := range []string{"dir:" + root, "file:" + filepath.Join(root, "bin/sh")} {
		if _, err := opener().Open(t.Context(), name, ""); !fault.Is(err, fault.Invalid) || fault.HintOf(err) == "" {
			t.Errorf("%s, by one who does not take loose images: %v", name, err)
		}
		n, err := image.ParseName(name)
		must(t, err)
		if _, err := looseOpener().Copy(t.Context(), n, image.Name{Scheme: image.Layout, Path: t.TempDir()}, ""); !fault.Is(err, fault.Invalid) {
			t.Errorf("copy %s: %v", name, err)
		}
	}
	if _, err := openTree(t, "dir:"+root).Blobs.Open(t.Context(), openTree(t, "dir:"+root).Layers[0]); !fault.Is(err, fault.Invalid) {
		t.Errorf("a blob of a folder: %v", err)
	}
}
