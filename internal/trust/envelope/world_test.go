package envelope_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/key"
	"plimsoll/internal/key/keytest"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
	"plimsoll/internal/trust/codesign"
	"plimsoll/internal/trust/envelope"
	"plimsoll/internal/trust/sigstore"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// world is a registry with an image in it. What lies, or fails, is put in front
// of the registry by setting before.
type world struct {
	gun    ref.GUN
	oci    *oci.Client
	image  trust.Image
	top    v1.Descriptor
	key    *keytest.Signer
	chain  []*x509.Certificate
	writer *envelope.Writer
	reader *envelope.Reader
	before func(w http.ResponseWriter, r *http.Request) (done bool)
}

func newWorld(t testing.TB, a key.Algorithm) *world {
	t.Helper()
	w := &world{key: keytest.New(t, a)}
	next := registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.before == nil || !w.before(rw, r) {
			next.ServeHTTP(rw, r)
		}
	}))
	t.Cleanup(server.Close)
	w.gun = ref.GUN(strings.TrimPrefix(server.URL, "http://") + "/team/app")
	w.oci = oci.New(oci.Config{PlainHTTP: true, Response: 5 * time.Second, Tries: 1})
	config := w.blob(t, []byte(`{"os":"linux","architecture":"amd64"}`), v1.MediaTypeImageConfig)
	m := w.push(t, v1.Manifest{Config: config, Layers: []v1.Descriptor{}})
	index, err := json.Marshal(v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{m}})
	if err != nil {
		t.Fatal(err)
	}
	if w.top, err = w.oci.PushManifest(t.Context(), w.gun.Reference().WithTag("1"), v1.MediaTypeImageIndex, index, oci.Condition{}); err != nil {
		t.Fatal(err)
	}
	w.image = trust.Image{Digest: w.top.Digest, Platforms: []trust.Platform{{Platform: "linux/amd64", Manifest: m.Digest}}}
	if a == key.ECDSAP256 {
		c, err := codesign.SelfSigned(t.Context(), w.key, "app", now)
		if err != nil {
			t.Fatal(err)
		}
		w.chain, w.key.Signed = []*x509.Certificate{c}, 0
	}
	w.writer = &envelope.Writer{Registry: w.oci, Now: now, Chain: func(context.Context, key.Signer) ([]*x509.Certificate, error) { return w.chain, nil }}
	w.reader = &envelope.Reader{Registry: w.oci, Now: now}
	return w
}

func (w *world) blob(t testing.TB, b []byte, mediaType string) v1.Descriptor {
	t.Helper()
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
	if err := w.oci.PushBlob(t.Context(), w.gun, d, open); err != nil {
		t.Fatal(err)
	}
	return d
}

func (w *world) push(t testing.TB, m v1.Manifest) v1.Descriptor {
	t.Helper()
	return w.pushTag(t, "", m)
}

// pushTag puts a manifest under a tag, or under its digest alone.
func (w *world) pushTag(t testing.TB, tag string, m v1.Manifest) v1.Descriptor {
	t.Helper()
	m.SchemaVersion, m.MediaType = 2, v1.MediaTypeImageManifest
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	r := w.gun.Reference().WithDigest(digest.FromBytes(b))
	if tag != "" {
		r = r.WithTag(tag)
	}
	d, err := w.oci.PushManifest(t.Context(), r, m.MediaType, b, oci.Condition{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// attach puts a file beside the image.
func (w *world) attach(t testing.TB, a oci.Artifact) v1.Descriptor {
	t.Helper()
	a.Subject = w.top
	d, err := w.oci.PushArtifact(t.Context(), w.gun, a)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (w *world) anchors() sigstore.Anchors {
	return sigstore.Anchors{Keys: []crypto.PublicKey{w.key.Public()}, Now: now}
}

func (w *world) authorities() codesign.Authorities {
	return codesign.Authorities{Roots: w.chain, Subject: func(pkix.Name) bool { return true }}
}
