package trust

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/ref"
)

const (
	testGUN  ref.GUN = "registry.example.com/payments/a"
	otherGUN ref.GUN = "registry.example.com/payments/b"
)

var testTime = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// softKey is a signer in memory.
type softKey struct {
	private crypto.Signer
	key     *Key
}

func newSoftKey(t testing.TB, algorithm key.Algorithm) *softKey {
	t.Helper()
	k := &softKey{}
	var err error
	if algorithm == key.Ed25519 {
		_, k.private, err = ed25519.GenerateKey(rand.Reader)
	} else {
		k.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err == nil {
		k.key, err = NewKey(k.private.Public())
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *softKey) Public() crypto.PublicKey { return k.private.Public() }
func (k *softKey) Close() error             { return nil }
func (k *softKey) Sign(_ context.Context, message []byte) ([]byte, error) {
	if _, ok := k.private.(ed25519.PrivateKey); ok {
		return k.private.Sign(rand.Reader, message, crypto.Hash(0))
	}
	sum := sha256.Sum256(message)
	return k.private.Sign(rand.Reader, sum[:], crypto.SHA256)
}

// ring is a keyring of the keys that are held.
type ring map[string]*softKey

func (r ring) Signer(_ context.Context, k *Key) (key.Signer, error) {
	for _, held := range r {
		if held.key.Fingerprint == k.Fingerprint {
			return held, nil
		}
	}
	return nil, fault.Errorf(fault.NotFound, "not held")
}

// world is one publisher with a store, and one client that remembers.
type world struct {
	testing.TB
	gun   ref.GUN
	now   time.Time
	keys  ring
	store *Folder
	dir   string
	state string
	pins  Pins
	repo  *Repository
}

// newWorld starts a collection: root 2 of 3, and one key each for targets,
// snapshot and timestamp.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{TB: t, gun: testGUN, now: testTime, keys: ring{}, dir: t.TempDir(), state: t.TempDir()}
	for _, name := range []string{"root1", "root2", "root3", "targets", "snapshot", "timestamp"} {
		w.newKey(name)
	}
	w.store = NewFolder(w.dir)
	w.pins = Pins{Threshold: 2, Keys: []string{w.fingerprint("root1"), w.fingerprint("root2"), w.fingerprint("root3")}}
	publisher := NewClient(ClientConfig{Source: w.store, State: t.TempDir(), Now: func() time.Time { return w.now }})
	w.repo = NewRepository(RepositoryConfig{GUN: w.gun, Store: w.store, Client: publisher, Pins: w.pins, Keys: w.keys})
	w.must(w.repo.Init(t.Context(), InitConfig{
		Root: w.public("root1", "root2", "root3"), RootThreshold: 2,
		Targets: w.public("targets"), Snapshot: w.public("snapshot"), Timestamp: w.public("timestamp"),
	}))
	return w
}

func (w *world) newKey(name string) {
	algorithm := key.ECDSAP256
	if len(w.keys)%2 == 1 {
		algorithm = key.Ed25519
	}
	w.keys[name] = newSoftKey(w, algorithm)
}

func (w *world) fingerprint(name string) string { return w.keys[name].key.Fingerprint }

func (w *world) public(names ...string) []*Key {
	var all []*Key
	for _, n := range names {
		all = append(all, w.keys[n].key)
	}
	return all
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// image returns an image whose digest depends on content.
func image(tag, content string) Image {
	d := func(s string) ref.Digest {
		sum := sha256.Sum256([]byte(s))
		return ref.Digest("sha256:" + hex.EncodeToString(sum[:]))
	}
	return Image{
		Tag: tag, Digest: d(content), Size: int64(len(content)), MediaType: "application/vnd.oci.image.index.v1+json",
		Platforms: []Platform{
			{"linux/amd64", d(content + "amd64"), 500, d(content + "config"), d(content + "chain")},
			{"linux/arm64", d(content + "arm64"), 501, d(content + "config2"), d(content + "chain2")},
		},
	}
}

func (w *world) sign(role, tag, content string) Image {
	w.Helper()
	m := image(tag, content)
	w.must(w.repo.Sign(w.Context(), role, m))
	return m
}

// files are the metadata files of a collection: a source that an attacker owns.
type files map[string][]byte

func (f files) Load(context.Context, ref.GUN) (Collection, error) { return f, nil }

func (f files) Read(_ context.Context, name string, limit int64) ([]byte, error) {
	b, ok := f[name]
	if !ok {
		return nil, fault.Errorf(fault.NotFound, "no file %q", name)
	}
	if int64(len(b)) > limit {
		return nil, fault.Errorf(fault.Untrusted, "longer than %d bytes", limit)
	}
	return b, nil
}

func (f files) clone() files { return maps.Clone(f) }

// files returns what is published now.
func (w *world) files() files {
	w.Helper()
	dir := filepath.Join(w.dir, string(w.gun), collectionDir)
	entries, err := os.ReadDir(dir)
	w.must(err)
	all := files{}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			all[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name()))
			w.must(err)
		}
	}
	return all
}

// client returns the client that remembers, reading from source.
func (w *world) client(source Source) *Client {
	return NewClient(ClientConfig{Source: source, State: w.state, Now: func() time.Time { return w.now }})
}

// refresh lets the client refresh from source.
func (w *world) refresh(source Source) error {
	t, err := w.client(source).Refresh(w.Context(), w.gun, w.pins)
	if err != nil {
		return err
	}
	return t.Close()
}

func (w *world) ask(source Source, name string) (*Statement, error) {
	r, err := ref.Parse(string(w.gun) + name)
	w.must(err)
	return w.client(source).Statement(w.Context(), w.gun, w.pins, r)
}

// refused demands an Untrusted error with the words.
func (w *world) refused(err error, words string) {
	w.Helper()
	if !fault.Is(err, fault.Untrusted) || !strings.Contains(err.Error(), words) {
		w.Fatalf("got %v (%v), want an untrusted error with %q", err, fault.KindOf(err), words)
	}
}

// forge changes the signed part of a file and signs it by the named keys.
func (w *world) forge(f files, name string, change func(signed map[string]any), by ...string) {
	w.Helper()
	var file struct {
		Signed map[string]any `json:"signed"`
	}
	dec := json.NewDecoder(strings.NewReader(string(f[name])))
	dec.UseNumber()
	w.must(dec.Decode(&file))
	change(file.Signed)
	f[name] = w.file(file.Signed, by...)
}

// file returns a metadata file signed by the named keys.
func (w *world) file(signed map[string]any, by ...string) []byte {
	w.Helper()
	message, err := canonical(signed)
	w.must(err)
	signatures := []any{}
	for _, name := range by {
		sig, err := w.keys[name].Sign(w.Context(), message)
		w.must(err)
		signatures = append(signatures, map[string]any{"keyid": w.keys[name].key.ID, "sig": hex.EncodeToString(sig)})
	}
	b, err := encodeJSON(map[string]any{"signed": signed, "signatures": signatures})
	w.must(err)
	return b
}

// relink writes a new snapshot and timestamp, in the versions given, over the
// roles that lie in f, signed by stolen keys.
func (w *world) relink(f files, version int64, roles map[string]int64) {
	w.Helper()
	meta := map[string]any{}
	for role, v := range roles {
		meta[role+".json"] = encodeMeta(map[string]metaFile{"x": describe(f[fileName(role, v)], v)})["x.json"]
	}
	snap := fileName(RoleSnapshot, version)
	f[snap] = w.file(w.signed(RoleSnapshot, version, map[string]any{"meta": meta}), "snapshot")
	w.stamp(f, version, describe(f[snap], version))
}

func (w *world) stamp(f files, version int64, snap metaFile) {
	w.Helper()
	meta := encodeMeta(map[string]metaFile{RoleSnapshot: snap})
	f["timestamp.json"] = w.file(w.signed(RoleTimestamp, version, map[string]any{"meta": meta}), "timestamp")
}

// signed returns a signed part that is valid for a day.
func (w *world) signed(role string, version int64, fields map[string]any) map[string]any {
	h := header{Type: role, Version: version, Expires: w.now.Add(day)}
	if role == RoleTargets {
		h.GUN = w.gun
	}
	return h.encode(fields)
}

// forget gives the client a new memory.
func (w *world) forget() { w.state = w.TempDir() }

// in returns the world for a subtest.
func (w *world) in(t *testing.T) *world {
	sub := *w
	sub.TB = t
	return &sub
}
