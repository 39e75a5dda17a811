package scan

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/ref"
)

// entry is one entry of a layer that a test makes.
type entry struct {
	name, content, link string
	typ                 byte
}

func file(name, content string) entry { return entry{name: name, content: content, typ: tar.TypeReg} }
func dir(name string) entry           { return entry{name: name, typ: tar.TypeDir} }
func symlink(name, to string) entry   { return entry{name: name, link: to, typ: tar.TypeSymlink} }
func hardlink(name, to string) entry  { return entry{name: name, link: to, typ: tar.TypeLink} }

func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.typ, Linkname: e.link, Size: int64(len(e.content)), Mode: 0o644}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// memory is an image whose layers are plain tars in memory.
type memory map[ref.Digest][]byte

func (m memory) Open(_ context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	b, ok := m[d.Digest]
	switch {
	case !ok:
		return nil, fault.Errorf(fault.Unavailable, "registry is away")
	case digest(b) != d.Digest:
		return io.NopCloser(io.MultiReader(bytes.NewReader(b), broken{})), nil
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// broken is the end of a stream that was not what its digest says.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, fault.Errorf(fault.Untrusted, "wrong digest") }

func digest(b []byte) ref.Digest {
	sum := sha256.Sum256(b)
	return ref.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

func imageOf(layers ...[]byte) (*image.Image, memory) {
	blobs := memory{}
	m := &image.Image{Name: "test", Blobs: blobs}
	m.Manifest.Digest = "sha256:0123"
	m.Spec.OS, m.Spec.Architecture = "linux", "amd64"
	for _, b := range layers {
		d := digest(b)
		blobs[d] = b
		m.Layers = append(m.Layers, v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: d, Size: int64(len(b))})
		m.Spec.RootFS.DiffIDs = append(m.Spec.RootFS.DiffIDs, d)
	}
	return m, blobs
}

var errStop = errors.New("stop")
