package cli_test

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"plimsoll/internal/cli"
)

// TestSBOMOfChangedBytes: a layer whose bytes are not what its digest names ends
// with exit 4, and what could be read is still listed.
func TestSBOMOfChangedBytes(t *testing.T) {
	const pkg = `{"name": "good", "version": "1.0.0"}`
	dir := t.TempDir()
	img := layered(t, tarWith(t, "app/node_modules/good/package.json", pkg), tarWith(t, "etc/motd", "hello"))
	p, err := layout.Write(filepath.Join(dir, "image"), empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.AppendImage(img); err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := layers[1].Digest()
	if err != nil {
		t.Fatal(err)
	}
	blob := filepath.Join(dir, "image", "blobs", "sha256", digest.Hex)
	b, err := os.ReadFile(blob)
	if err != nil {
		t.Fatal(err)
	}
	b[600] ^= 1
	if err := os.WriteFile(blob, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	code := cli.Main(t.Context(), []string{"--data", dir, "sbom", "--platform", "linux/amd64", "oci:" + filepath.Join(dir, "image")}, os.Stdin, &out, &errs)
	if code != 4 {
		t.Errorf("exit %d, want 4", code)
	}
	if !strings.Contains(out.String(), "good") {
		t.Errorf("what could be read is not listed:\n%s", out.String())
	}
	for _, want := range []string{"plimsoll: unreadable: layer 1", "plimsoll: error: 1 of 1 unreadable parts", "plimsoll: hint: "} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("standard error has no %q:\n%s", want, errs.String())
		}
	}
}

// layered returns an image for linux/amd64 with plain tars as layers.
func layered(t *testing.T, tars ...[]byte) v1.Image {
	t.Helper()
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	for _, b := range tars {
		open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
		layer, err := tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCIUncompressedLayer), tarball.WithCompressedCaching)
		if err != nil {
			t.Fatal(err)
		}
		if img, err = mutate.AppendLayers(img, uncompressed{layer}); err != nil {
			t.Fatal(err)
		}
	}
	return img
}

// uncompressed is a layer that is stored as a plain tar.
type uncompressed struct{ v1.Layer }

func (l uncompressed) Digest() (v1.Hash, error)           { return l.DiffID() }
func (l uncompressed) Compressed() (io.ReadCloser, error) { return l.Uncompressed() }

func (l uncompressed) Size() (int64, error) {
	r, err := l.Uncompressed()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	return io.Copy(io.Discard, r)
}

func tarWith(t *testing.T, name, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
