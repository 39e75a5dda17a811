package interop

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	ggcr "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/key"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
	"plimsoll/internal/trust/codesign"
	"plimsoll/internal/trust/envelope"
)

// now is the time of the tests: the libraries ask the machine's clock.
var now = time.Now()

// signer is a key in memory.
type signer struct{ crypto.Signer }

func (s signer) Public() crypto.PublicKey { return s.Signer.Public() }

func (s signer) Sign(_ context.Context, message []byte) ([]byte, error) {
	if _, ok := s.Signer.(ed25519.PrivateKey); ok {
		return s.Signer.Sign(rand.Reader, message, crypto.Hash(0))
	}
	sum := sha256.Sum256(message)
	return s.Signer.Sign(rand.Reader, sum[:], crypto.SHA256)
}

func (s signer) Close() error { return nil }

func newKey(t *testing.T, a key.Algorithm) signer {
	t.Helper()
	if a == key.Ed25519 {
		_, k, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return signer{k}
	}
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{k}
}

// world is a registry with one image of two platforms.
type world struct {
	gun    ref.GUN
	oci    *oci.Client
	image  trust.Image
	top    v1.Descriptor
	writer *envelope.Writer
	reader *envelope.Reader
	key    signer
	chain  []*x509.Certificate
}

// each runs fn on a registry with the referrers API and on one without.
func each(t *testing.T, a key.Algorithm, fn func(*testing.T, *world)) {
	t.Helper()
	for name, api := range map[string]bool{"referrers API": true, "fallback tag": false} {
		t.Run(name, func(t *testing.T) { fn(t, newWorld(t, a, api)) })
	}
}

func newWorld(t *testing.T, a key.Algorithm, api bool) *world {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(api), registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	w := &world{gun: ref.GUN(strings.TrimPrefix(server.URL, "http://") + "/team/app"), oci: oci.New(oci.Config{PlainHTTP: true}), key: newKey(t, a)}
	w.push(t)
	if a == key.ECDSAP256 {
		c, err := codesign.SelfSigned(t.Context(), w.key, string(w.gun), now)
		if err != nil {
			t.Fatal(err)
		}
		w.chain = []*x509.Certificate{c}
	}
	chain := func(context.Context, key.Signer) ([]*x509.Certificate, error) { return w.chain, nil }
	w.writer = &envelope.Writer{Registry: w.oci, Chain: chain, Now: now}
	w.reader = &envelope.Reader{Registry: w.oci, Now: now}
	return w
}

func (w *world) push(t *testing.T) {
	t.Helper()
	var index ggcr.ImageIndex = mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range []string{"amd64", "arm64"} {
		img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return tarOf(arch), nil })
		if err != nil {
			t.Fatal(err)
		}
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			t.Fatal(err)
		}
		d, err := img.Digest()
		if err != nil {
			t.Fatal(err)
		}
		w.image.Platforms = append(w.image.Platforms, trust.Platform{Platform: "linux/" + arch, Manifest: ref.Digest(d.String())})
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: ggcr.Descriptor{Platform: &ggcr.Platform{OS: "linux", Architecture: arch}}})
	}
	tag, err := name.NewTag(string(w.gun)+":1", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(tag, index); err != nil {
		t.Fatal(err)
	}
	m, err := w.oci.Manifest(t.Context(), w.gun.Reference().WithTag("1"))
	if err != nil {
		t.Fatal(err)
	}
	w.top, w.image.Digest = m.Descriptor, m.Digest
}

func tarOf(text string) io.ReadCloser {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	_ = w.WriteHeader(&tar.Header{Name: "hello", Mode: 0o644, Size: int64(len(text))})
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return io.NopCloser(&b)
}

// subjects are the descriptors that must be signed: the index and both images.
func (w *world) subjects(t *testing.T) []v1.Descriptor {
	t.Helper()
	all := []v1.Descriptor{w.top}
	for _, p := range w.image.Platforms {
		m, err := w.oci.Manifest(t.Context(), w.gun.Reference().WithDigest(p.Manifest))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m.Descriptor)
	}
	return all
}
