package image_test

import (
	"context"
	"io"
	"log"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"plimsoll/internal/image"
	"plimsoll/internal/oci"
)

func startRegistry(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func opener() *image.Opener {
	return &image.Opener{Registry: oci.New(oci.Config{PlainHTTP: true})}
}

func TestOpenFromRegistryAndLayout(t *testing.T) {
	host := startRegistry(t)
	img, err := random.Image(10_000, 3)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(host + "/team/app:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, img); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "layout")
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.AppendImage(img); err != nil {
		t.Fatal(err)
	}
	want, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{tag.String(), host + "/team/app@" + want.String(), "oci:" + dir} {
		m, err := opener().Open(t.Context(), n, "")
		if err != nil {
			t.Fatal(err)
		}
		if m.Manifest.Digest.String() != want.String() {
			t.Errorf("%s: digest %s, want %s", n, m.Manifest.Digest, want)
		}
		walkAll(t, m)
	}
}

func walkAll(t *testing.T, m *image.Image) {
	t.Helper()
	for i := range m.Layers {
		walked, err := m.Walk(context.Background(), i, image.Caps{}, func(_ image.Entry, r io.Reader) error {
			_, err := io.Copy(io.Discard, r)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if walked.DiffID != m.Spec.RootFS.DiffIDs[i] || walked.Blob != m.Layers[i].Digest || walked.Count != 1 {
			t.Errorf("layer %d: walked %+v", i, walked)
		}
	}
}
