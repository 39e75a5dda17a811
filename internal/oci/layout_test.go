package oci_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/oci"
)

// writeImage puts an image without layers into the layout in dir.
func writeImage(t testing.TB, dir, tag, config string) v1.Descriptor {
	t.Helper()
	w, err := oci.WriteLayout(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest := manifestOf(t, []byte(config), nil)
	d := describe(v1.MediaTypeImageManifest, manifest)
	for d, b := range map[*v1.Descriptor][]byte{&d: manifest, {MediaType: "x/y", Digest: digest.FromString(config), Size: int64(len(config))}: []byte(config)} {
		if err := w.Put(*d, io.NopCloser(bytes.NewReader(b))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(d, tag); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestLayoutRoundTrip(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "layout")
	one := writeImage(t, dir, "1", "one")
	two := writeImage(t, dir, "2", "two")
	moved := writeImage(t, dir, "1", "three")
	if entries, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(entries) != 1 {
		t.Errorf("beside the layout: %v, %v", entries, err)
	}
	l, err := oci.OpenLayout(dir)
	if err != nil {
		t.Fatal(err)
	}
	for tag, want := range map[string]v1.Descriptor{"1": moved, "2": two} {
		d, err := l.Resolve(tag)
		if err != nil || d.Digest != want.Digest {
			t.Errorf("%s: %v, %v; want %s", tag, d.Digest, err, want.Digest)
		}
	}
	r, err := l.Open(t.Context(), one) // without a name now, but still there
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Error(err)
	}
	for tag, want := range map[string]string{"": `"2", "1"`, "9": `"2", "1"`} {
		if _, err := l.Resolve(tag); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("tag %q: error %v does not list %s", tag, err, want)
		}
	}
}

func TestHostileLayouts(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	blob := filepath.Join("blobs", "sha256", digest.FromString("one").Encoded())
	entry := func(name, hex string) string {
		return `{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":1,"digest":"sha256:` + strings.Repeat(hex, 64) + `","annotations":{"org.opencontainers.image.ref.name":"` + name + `"}}`
	}
	index := func(entries ...string) string {
		return `{"schemaVersion":2,"manifests":[` + strings.Join(entries, ",") + `]}`
	}
	tests := []struct {
		name, file string
		change     func(name string) error
		kind       fault.Kind
		want       string
	}{
		{"a link to the outside", blob, func(name string) error { return errors.Join(os.Remove(name), os.Symlink(secret, name)) }, fault.Unavailable, "escapes"},
		{"a FIFO", blob, func(name string) error { return errors.Join(os.Remove(name), syscall.Mkfifo(name, 0o600)) }, fault.Invalid, "regular"},
		{"a changed blob", blob, func(name string) error { return os.WriteFile(name, []byte("onX"), 0o600) }, fault.Untrusted, "digest"},
		{"a longer blob", blob, func(name string) error { return os.WriteFile(name, []byte("one more"), 0o600) }, fault.Untrusted, "longer"},
		{"a cut blob", blob, func(name string) error { return os.Truncate(name, 2) }, fault.Untrusted, "cut short: 2 of 3"},
		{"no blob", blob, os.Remove, fault.NotFound, "is not in layout"},
		{"two of one name", "index.json", write(index(entry("1", "a"), entry("1", "b"))), fault.Invalid, `2 images are named "1"`},
		{"an index that is none", "index.json", write(`{"schemaVersion":2,"layers":[]}`), fault.Invalid, "index.json"},
		{"an index and a manifest", "index.json", write(`{"schemaVersion":2,"manifests":[],"layers":[]}`), fault.Invalid, "at once"},
		{"a path for a digest", "index.json", write(strings.Replace(index(entry("1", "a")), "sha256:a", "sha256:../", 1)), fault.Invalid, "digest"},
		{"a large index", "index.json", write(strings.Repeat(" ", oci.MaxManifest+1)), fault.Invalid, "more than"},
		{"an unknown version", "oci-layout", write(`{"imageLayoutVersion":"2.0.0"}`), fault.Invalid, "2.0.0"},
		{"no layout", "oci-layout", os.Remove, fault.NotFound, "not an OCI layout"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "layout")
			writeImage(t, dir, "1", "one")
			if err := tt.change(filepath.Join(dir, tt.file)); err != nil {
				t.Fatal(err)
			}
			err := readLayout(t.Context(), dir)
			if !fault.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v (%v), want %v with %q", err, fault.KindOf(err), tt.kind, tt.want)
			}
		})
	}
}

func write(content string) func(string) error {
	return func(name string) error { return os.WriteFile(name, []byte(content), 0o600) }
}

// readLayout resolves tag 1 and reads the config "one".
func readLayout(ctx context.Context, dir string) error {
	l, err := oci.OpenLayout(dir)
	if err != nil {
		return err
	}
	if _, err := l.Resolve("1"); err != nil {
		return err
	}
	r, err := l.Open(ctx, describe("x/y", []byte("one")))
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	_, err = io.Copy(io.Discard, r)
	return err
}

// TestAbortLeavesNothing fails in the middle of a blob, in a new layout and in
// one that holds an image.
func TestAbortLeavesNothing(t *testing.T) {
	for _, exists := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "layout")
		if exists {
			writeImage(t, dir, "1", "one")
		}
		before := tree(t, filepath.Dir(dir))
		w, err := oci.WriteLayout(dir)
		if err != nil {
			t.Fatal(err)
		}
		whole := []byte("whole")
		if err := w.Put(describe("x/y", whole), io.NopCloser(bytes.NewReader(whole))); err != nil {
			t.Fatal(err)
		}
		broken := errors.New("broken")
		if err := w.Put(describe("x/y", []byte("half")), io.NopCloser(iotest.ErrReader(broken))); !errors.Is(err, broken) {
			t.Errorf("error %v, want the reader's", err)
		}
		if err := w.Put(describe("x/y", []byte("half")), io.NopCloser(strings.NewReader("hal"))); !fault.Is(err, fault.Untrusted) {
			t.Errorf("error %v, want untrusted", err)
		}
		if err := w.Abort(); err != nil {
			t.Error(err)
		}
		if after := tree(t, filepath.Dir(dir)); after != before {
			t.Errorf("left behind:\n%s\nwas:\n%s", after, before)
		}
	}
}

// tree lists the files below dir.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, "\n")
}

// TestFullDisk writes into a file system of 64 KiB.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", dir).CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("mount a tmpfs: %v\n%s", err, out)
		}
		t.Skipf("mounting a tmpfs needs root: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	w, err := oci.WriteLayout(filepath.Join(dir, "layout"))
	if err != nil {
		t.Fatal(err)
	}
	large := make([]byte, 1<<20)
	err = w.Put(describe("x/y", large), io.NopCloser(bytes.NewReader(large)))
	if !errors.Is(err, syscall.ENOSPC) || !fault.Is(err, fault.Unavailable) {
		t.Errorf("error %v, want unavailable: no space left", err)
	}
	if err := w.Abort(); err != nil {
		t.Error(err)
	}
	if left := tree(t, dir); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

func TestWriteLayoutRefusesOtherFolders(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := oci.WriteLayout(dir); !fault.Is(err, fault.Invalid) || fault.HintOf(err) == "" {
		t.Errorf("error %v, want an invalid folder and a hint", err)
	}
}
