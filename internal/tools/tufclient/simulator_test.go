package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
)

const day = 24 * time.Hour

// today is when the tests play.
var today = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

type object = map[string]any

// signer is a key of some type, with the ID that metadata calls it by.
type signer struct {
	id      string
	key     object
	private crypto.Signer
	scheme  string
}

// newSigner makes a key of the given type and scheme.
func newSigner(t testing.TB, keytype, scheme string) *signer {
	t.Helper()
	s := &signer{scheme: scheme}
	public, err := "", error(nil)
	switch keytype {
	case "ed25519":
		_, s.private, err = ed25519.GenerateKey(rand.Reader)
	case "rsa":
		s.private, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		s.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	if raw, ok := s.private.Public().(ed25519.PublicKey); ok {
		public = hex.EncodeToString(raw)
	} else {
		der, err := x509.MarshalPKIXPublicKey(s.private.Public())
		if err != nil {
			t.Fatal(err)
		}
		public = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	s.key = object{"keytype": keytype, "scheme": scheme, "keyval": object{"public": public}}
	s.id = keyID(t, s.key)
	return s
}

// newKey makes a key as most have it.
func newKey(t testing.TB) *signer {
	t.Helper()
	return newSigner(t, "ecdsa", "ecdsa-sha2-nistp256")
}

func keyID(t testing.TB, key object) string {
	t.Helper()
	sum := sha256.Sum256(canonical(t, key))
	return hex.EncodeToString(sum[:])
}

// canonical is another implementation than the client's own.
func canonical(t testing.TB, v any) []byte {
	t.Helper()
	b, err := cjson.EncodeCanonical(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (s *signer) sign(t testing.TB, message []byte) string {
	t.Helper()
	sum := sha256.Sum256(message)
	digest, opts := sum[:], crypto.SignerOpts(crypto.SHA256)
	switch s.scheme {
	case "ed25519":
		digest, opts = message, crypto.Hash(0)
	case "rsassa-pss-sha256":
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	}
	sig, err := s.private.Sign(rand.Reader, digest, opts)
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(sig)
}

// repo is a TUF repository that a test changes as it likes, wrongly too. What is
// changed is seen by clients when it is published.
type repo struct {
	testing.TB
	signed  map[string]object    // role → what is signed next
	signers map[string][]*signer // role → who signs it
	hashes  bool                 // snapshot and timestamp carry lengths and hashes

	mu        sync.Mutex
	files     map[string][][]byte // role → its versions, the first is 1
	artifacts map[string][]byte   // path → content
	requests  []string            // "root 2", "timestamp", "targets 1", "artifact <path>"

	url string
}

// newRepo serves a repository of version 1, with one key for each role.
func newRepo(t testing.TB) *repo {
	t.Helper()
	r := &repo{TB: t, signed: map[string]object{}, signers: map[string][]*signer{}, files: map[string][][]byte{}, artifacts: map[string][]byte{}}
	for _, role := range []string{"root", "timestamp", "snapshot", "targets"} {
		r.signed[role] = header(role)
	}
	r.signed["targets"]["targets"] = object{}
	r.signed["snapshot"]["meta"] = object{}
	r.signed["timestamp"]["meta"] = object{}
	r.signed["root"]["consistent_snapshot"] = true
	r.signed["root"]["keys"] = object{}
	r.signed["root"]["roles"] = object{}
	for _, role := range []string{"root", "timestamp", "snapshot", "targets"} {
		r.rekey(role, 1, newKey(t))
	}
	r.publish("targets", "snapshot", "timestamp", "root")
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

func header(role string) object {
	return object{"_type": role, "spec_version": "1.0.34", "version": 1, "expires": date(30 * day)}
}

func date(in time.Duration) string { return today.Add(in).Format("2006-01-02T15:04:05Z") }

func child(o object, name string) object {
	c, _ := o[name].(object)
	return c
}

// role is what root says about a role.
func (r *repo) role(name string) object { return child(child(r.signed["root"], "roles"), name) }

// rekey gives a role of root's the threshold and keys, which also sign it.
func (r *repo) rekey(role string, threshold int, keys ...*signer) {
	child(r.signed["root"], "roles")[role] = object{"keyids": []any{}, "threshold": threshold}
	r.signers[role] = nil
	for _, k := range keys {
		r.addKey(role, k)
	}
}

// addKey adds a key to a role of root's.
func (r *repo) addKey(role string, k *signer) {
	child(r.signed["root"], "keys")[k.id] = k.key
	o := r.role(role)
	ids, _ := o["keyids"].([]any)
	o["keyids"] = append(ids, k.id)
	r.signers[role] = append(r.signers[role], k)
}

// delegate makes a delegated role with a key of its own, unless keys are given.
// What more there is to say of the delegation stands in fields.
func (r *repo) delegate(from, to string, fields object, keys ...*signer) {
	if len(keys) == 0 {
		keys = []*signer{newKey(r)}
	}
	if r.signed[to] == nil {
		r.signed[to] = header("targets")
		r.signed[to]["targets"] = object{}
		r.signers[to] = keys
	}
	d := child(r.signed[from], "delegations")
	if d == nil {
		d = object{"keys": object{}, "roles": []any{}}
		r.signed[from]["delegations"] = d
	}
	role := object{"name": to, "threshold": 1, "terminating": false, "keyids": []any{}}
	maps.Copy(role, fields)
	if role["paths"] == nil && role["path_hash_prefixes"] == nil {
		role["paths"] = []any{"*"}
	}
	for _, k := range keys {
		child(d, "keys")[k.id] = k.key
		ids, _ := role["keyids"].([]any)
		role["keyids"] = append(ids, k.id)
	}
	all, _ := d["roles"].([]any)
	d["roles"] = append(all, role)
}

// add puts an artifact into the repository and into role's metadata.
func (r *repo) add(role, path, content string) {
	one, two := sha256.Sum256([]byte(content)), sha512.Sum512([]byte(content))
	r.addHashed(role, path, content, object{"sha256": hex.EncodeToString(one[:]), "sha512": hex.EncodeToString(two[:])})
}

func (r *repo) addHashed(role, path, content string, hashes object) {
	child(r.signed[role], "targets")[path] = object{"length": len(content), "hashes": hashes}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.artifacts[path] = []byte(content)
}

// publish signs roles, each in its next version, and tells snapshot and timestamp
// what they promise from now on.
func (r *repo) publish(roles ...string) {
	r.Helper()
	for _, role := range roles {
		s := r.signed[role]
		if len(r.files[role]) > 0 {
			s["version"] = version(s) + 1
		}
		r.put(role, r.file(s, r.signers[role]...))
	}
}

// again publishes a role as version 1 anew, as if there had been none.
func (r *repo) again(role string) {
	r.mu.Lock()
	delete(r.files, role)
	r.mu.Unlock()
	r.signed[role]["version"] = 1
	r.publish(role)
}

func version(o object) int {
	v, _ := o["version"].(int)
	return v
}

// file returns a metadata file.
func (r *repo) file(signed object, by ...*signer) []byte {
	r.Helper()
	message := canonical(r, signed)
	signatures := []any{}
	for _, k := range by {
		signatures = append(signatures, object{"keyid": k.id, "sig": k.sign(r, message)})
	}
	b, err := json.MarshalIndent(object{"signed": signed, "signatures": signatures}, "", " ")
	if err != nil {
		r.Fatal(err)
	}
	return b
}

// put makes b the newest version of role.
func (r *repo) put(role string, b []byte) {
	r.mu.Lock()
	r.files[role] = append(r.files[role], b)
	r.mu.Unlock()
	meta := object{"version": version(r.signed[role])}
	if r.hashes {
		sum := sha256.Sum256(b)
		meta["length"], meta["hashes"] = len(b), object{"sha256": hex.EncodeToString(sum[:])}
	}
	switch role {
	case "root", "timestamp":
	case "snapshot":
		child(r.signed["timestamp"], "meta")["snapshot.json"] = meta
	default:
		child(r.signed["snapshot"], "meta")[role+".json"] = meta
	}
}

// swap replaces the newest version of role by what change makes of it.
func (r *repo) swap(role string, change func(file object)) {
	r.Helper()
	var file object
	dec := json.NewDecoder(bytes.NewReader(r.newest(role)))
	dec.UseNumber()
	if err := dec.Decode(&file); err != nil {
		r.Fatal(err)
	}
	change(file)
	b, err := json.Marshal(file)
	if err != nil {
		r.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.files[role]
	all[len(all)-1] = b
}

func (r *repo) newest(role string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.files[role]
	return all[len(all)-1]
}

// asked returns the requests since it was asked last.
func (r *repo) asked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.requests
	r.requests = nil
	return was
}

// ServeHTTP serves /metadata/ and /targets/.
func (r *repo) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	escaped := req.URL.EscapedPath()
	b, ok := []byte(nil), false
	if name, found := strings.CutPrefix(escaped, "/metadata/"); found {
		b, ok = r.metadata(strings.TrimSuffix(name, ".json"))
	} else if path, found := strings.CutPrefix(escaped, "/targets/"); found {
		b, ok = r.artifact(path)
	}
	if !ok {
		http.NotFound(w, req)
		return
	}
	_, _ = w.Write(b)
}

// metadata finds "2.root", or "timestamp".
func (r *repo) metadata(name string) ([]byte, bool) {
	number, role, _ := strings.Cut(name, ".")
	consistent, _ := r.signed["root"]["consistent_snapshot"].(bool)
	n, err := strconv.Atoi(number)
	if err != nil || name == "timestamp" || !consistent && role != "root" {
		r.requests = append(r.requests, name)
		role, n = name, len(r.files[name])
	} else {
		r.requests = append(r.requests, role+" "+number)
	}
	role, err = url.PathUnescape(role)
	if err != nil || n < 1 || n > len(r.files[role]) {
		return nil, false
	}
	return r.files[role][n-1], true
}

// artifact finds "dir/<hash>.name", or "dir/name".
func (r *repo) artifact(path string) ([]byte, bool) {
	r.requests = append(r.requests, "artifact "+path)
	path, err := url.PathUnescape(path)
	if consistent, _ := r.signed["root"]["consistent_snapshot"].(bool); consistent && err == nil {
		slash := strings.LastIndex(path, "/") + 1
		hash, name, ok := strings.Cut(path[slash:], ".")
		path = path[:slash] + name
		if !ok || !slices.Contains([]int{64, 128}, len(hash)) {
			return nil, false
		}
	}
	b, ok := r.artifacts[path]
	return b, ok
}
