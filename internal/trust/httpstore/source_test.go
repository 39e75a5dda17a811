package httpstore_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
	"plimsoll/internal/trust/httpstore"
	"plimsoll/internal/trust/ocistore"
)

// ring is one key for everything. Its signatures are the same each time.
type ring struct {
	private ed25519.PrivateKey
	key     *trust.Key
}

func newRing(t *testing.T) *ring {
	t.Helper()
	r := &ring{private: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))}
	var err error
	if r.key, err = trust.NewKey(r.private.Public()); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *ring) Signer(context.Context, *trust.Key) (key.Signer, error) { return r, nil }
func (r *ring) Public() crypto.PublicKey                               { return r.private.Public() }
func (r *ring) Close() error                                           { return nil }
func (r *ring) Sign(_ context.Context, message []byte) ([]byte, error) {
	return ed25519.Sign(r.private, message), nil
}

func (r *ring) pins() trust.Pins {
	return trust.Pins{Threshold: 1, Keys: []string{r.key.Fingerprint}}
}

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return now }

// publish lets a publisher begin a collection in store, delegate, sign twice and
// refresh.
func publish(t *testing.T, store trust.Store, gun ref.GUN, r *ring) {
	t.Helper()
	ks := []*trust.Key{r.key}
	client := trust.NewClient(trust.ClientConfig{Source: store, State: t.TempDir(), Now: clock})
	repo := trust.NewRepository(trust.RepositoryConfig{GUN: gun, Store: store, Client: client, Pins: r.pins(), Keys: r})
	image := trust.Image{
		Tag: "v1", Digest: ref.Digest("sha256:" + strings.Repeat("a", 64)), Size: 7,
		Platforms: []trust.Platform{{Platform: "linux/amd64", Manifest: ref.Digest("sha256:" + strings.Repeat("a", 64)), Size: 1}},
	}
	err := errors.Join(
		repo.Init(t.Context(), trust.InitConfig{Root: ks, RootThreshold: 1, Targets: ks}),
		repo.Delegate(t.Context(), trust.RoleConfig{Name: "releases", Keys: ks, Threshold: 1}),
		repo.Sign(t.Context(), trust.RoleTargets, image),
		repo.Sign(t.Context(), "releases", image),
		repo.Rotate(t.Context(), []string{trust.RoleTimestamp}, ks, 1),
		repo.Refresh(t.Context()),
	)
	if err != nil {
		t.Fatal(err)
	}
}

// TestSameBytes: the collection in an OCI registry and the one on plain TUF paths
// over HTTP are the same, byte for byte, and say the same.
func TestSameBytes(t *testing.T) {
	r := newRing(t)
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	gun := ref.GUN(strings.TrimPrefix(server.URL, "http://") + "/team/app")
	inRegistry := ocistore.New(ocistore.Config{Registry: oci.New(oci.Config{PlainHTTP: true}), PutTime: 400 * time.Millisecond})
	publish(t, inRegistry, gun, r)

	dir := t.TempDir()
	publish(t, trust.NewFolder(dir), gun, r)
	base := serve(t, http.FileServer(http.Dir(dir)).ServeHTTP)
	overHTTP, err := httpstore.NewSource(httpstore.Config{Base: base})
	if err != nil {
		t.Fatal(err)
	}

	one, err := inRegistry.Load(t.Context(), gun)
	if err != nil {
		t.Fatal(err)
	}
	two, err := overHTTP.Load(t.Context(), gun)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, string(gun), "_trust"))
	if err != nil {
		t.Fatal(err)
	}
	same := 0
	for _, e := range entries {
		name := e.Name()
		a, err := one.Read(t.Context(), name, 1<<20)
		if fault.Is(err, fault.NotFound) {
			continue // the lock, and what no current metadata refers to
		} else if err != nil {
			t.Fatal(err)
		}
		b, err := two.Read(t.Context(), name, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(a), string(b)); diff != "" {
			t.Errorf("%s differs (-OCI +HTTP):\n%s", name, diff)
		}
		same++
	}
	if same != 6 { // two roots, timestamp, snapshot, targets, releases
		t.Errorf("%d files are in both places", same)
	}

	var said []*trust.Statement
	for _, source := range []trust.Source{inRegistry, overHTTP} {
		c := trust.NewClient(trust.ClientConfig{Source: source, State: t.TempDir(), Now: clock})
		s, err := c.Statement(t.Context(), gun, r.pins(), ref.Reference{Tag: "v1"})
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, s)
	}
	if diff := cmp.Diff(said[0], said[1]); diff != "" {
		t.Error(diff)
	}
}

// counted serves dir and counts requests.
func counted(t *testing.T, dir string) (base string, requests func() []string) {
	t.Helper()
	var mu sync.Mutex
	var all []string
	base = serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		all = append(all, filepath.Base(r.URL.Path))
		mu.Unlock()
		http.FileServer(http.Dir(dir)).ServeHTTP(w, r)
	})
	return base, func() []string {
		mu.Lock()
		defer mu.Unlock()
		was := all
		all = nil
		return was
	}
}

// TestRequests: who is up to date asks for the timestamp and the next root.
func TestRequests(t *testing.T) {
	const gun ref.GUN = "registry.example.com:5000/team/app"
	r, dir := newRing(t), t.TempDir()
	base, requests := counted(t, dir)
	source, err := httpstore.NewSource(httpstore.Config{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	client := trust.NewClient(trust.ClientConfig{Source: source, State: t.TempDir(), Now: clock})
	ask := func() error {
		_, err := client.Statement(t.Context(), gun, r.pins(), ref.Reference{Tag: "v1"})
		return err
	}
	if err := ask(); !fault.Is(err, fault.NotFound) {
		t.Fatalf("nothing is published: %v", err)
	}
	publish(t, trust.NewFolder(dir), gun, r)
	requests()
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	want := []string{"timestamp.json", "1.root.json", "2.root.json", "3.root.json", "timestamp.json", "6.snapshot.json", "3.targets.json", "1.releases.json"}
	if diff := cmp.Diff(want, requests()); diff != "" {
		t.Errorf("first time:\n%s", diff)
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"timestamp.json", "3.root.json"}, requests()); diff != "" {
		t.Errorf("up to date:\n%s", diff)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := ask(); !fault.Is(err, fault.Untrusted) {
		t.Errorf("everything is gone: %v", err)
	}
}

func ExampleNewSource() {
	_, err := httpstore.NewSource(httpstore.Config{Base: "http://tuf.example.com/metadata"})
	fmt.Println(err)
	// Output: "http://tuf.example.com/metadata": metadata comes over https, or over http from this machine
}
