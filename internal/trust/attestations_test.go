package trust

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

// tokenMaker vouches for keys as the maker of a token does.
type tokenMaker struct {
	testing.TB
	root, token             *x509.Certificate
	rootKey, tokenKey       *ecdsa.PrivateKey
	touch, major, minor, pn byte
}

func newTokenMaker(t testing.TB) *tokenMaker {
	t.Helper()
	m := &tokenMaker{TB: t, touch: 2, major: 5, minor: 7, pn: 3}
	m.rootKey, m.root = m.issue("Acme Root", nil, nil, nil)
	m.tokenKey, m.token = m.issue("Acme Token", m.root, m.rootKey, nil)
	return m
}

// issue makes a CA's certificate, or a key's if pub is given.
func (m *tokenMaker) issue(name string, parent *x509.Certificate, by *ecdsa.PrivateKey, pub crypto.PublicKey) (*ecdsa.PrivateKey, *x509.Certificate) {
	m.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		m.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0)}
	if pub == nil {
		pub, c.IsCA, c.BasicConstraintsValid = own.Public(), true, true
	} else {
		for n, value := range map[int][]byte{3: {m.major, m.minor, 1}, 7: {2, 1, 42}, 8: {m.pn, m.touch}, 9: {3}} {
			id := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 41482, 3, n}
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: id, Value: value})
		}
	}
	if parent == nil {
		parent, by = c, own
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, pub, by)
	if err != nil {
		m.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		m.Fatal(err)
	}
	return own, cert
}

// attest gives k what the token proves of it.
func (m *tokenMaker) attest(k *Key) *Key {
	_, cert := m.issue("key", m.token, m.tokenKey, k.Public)
	attested := *k
	attested.Attestation = [][]byte{cert.Raw, m.token.Raw}
	return &attested
}

// roots believe the maker under the name acme.
func (m *tokenMaker) roots() key.AttestationRoots {
	m.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.root.Raw})
	roots, err := key.BuiltinAttestationRoots().With("acme", text)
	if err != nil {
		m.Fatal(err)
	}
	return roots
}

// TestAttestationIsPublished rotates the root to keys in tokens: readers find
// what the tokens prove, under the same key IDs, until the keys go.
func TestAttestationIsPublished(t *testing.T) {
	w, m := newWorld(t), newTokenMaker(t)
	w.repo.cfg.Makers = m.roots()
	bare := w.keys["root1"].key
	k := m.attest(bare)
	w.must(w.repo.Rotate(t.Context(), []string{RoleRoot}, []*Key{k, w.keys["root2"].key, w.keys["root3"].key}, 0))
	w.sign(RoleTargets, "1", "content")
	s, err := w.ask(w.store, ":1")
	w.must(err)
	if len(s.Attestations) != 1 {
		t.Fatalf("attestations of %d keys, want one", len(s.Attestations))
	}
	a, err := key.VerifyAttestationOf(k.Fingerprint, s.Attestations[k.Fingerprint], m.roots())
	w.must(err)
	if a.Maker != "acme" || a.Firmware != "5.7.1" || a.Touch != key.PolicyAlways || a.Serial != "42" {
		t.Errorf("got %+v", a)
	}
	if other, err := NewKey(bare.Public); err != nil || other.ID != k.ID {
		t.Errorf("the key's ID became %s (%v)", k.ID, err)
	}
	if root := w.files()["2.root.json"]; bytes.Count(root, []byte(attestationsField)) != 1 {
		t.Errorf("the root has no field %q: %s", attestationsField, root)
	}

	w.newKey("root4")
	w.must(w.repo.Rotate(t.Context(), []string{RoleRoot}, w.public("root2", "root3", "root4"), 0))
	if s, err = w.ask(w.store, ":1"); err != nil || len(s.Attestations) != 0 {
		t.Errorf("after the key went: %v, %v", s.Attestations, err)
	}
}

// TestFalseAttestationIsNotSigned: whoever signs a root vouches for its claims.
func TestFalseAttestationIsNotSigned(t *testing.T) {
	w, m := newWorld(t), newTokenMaker(t)
	another := *w.keys["root1"].key
	another.Attestation = m.attest(w.keys["root2"].key).Attestation
	cut := m.attest(w.keys["root1"].key)
	cut.Attestation = cut.Attestation[:1]
	for name, tt := range map[string]struct {
		key   *Key
		roots key.AttestationRoots
		want  string
	}{
		"another key's":   {&another, m.roots(), "another key's"},
		"cut":             {cut, m.roots(), "of 1 certificates"},
		"unknown maker":   {m.attest(w.keys["root1"].key), key.BuiltinAttestationRoots(), "nobody known vouches"},
		"nobody believed": {m.attest(w.keys["root1"].key), key.AttestationRoots{}, "none is known"},
	} {
		t.Run(name, func(t *testing.T) {
			w.repo.cfg.Makers = tt.roots
			err := w.repo.Rotate(t.Context(), []string{RoleRoot}, []*Key{tt.key, w.keys["root2"].key, w.keys["root3"].key}, 0)
			w.in(t).refused(err, tt.want)
			if !strings.Contains(err.Error(), "claims falsely") {
				t.Errorf("got %v", err)
			}
		})
	}
	if f := w.files(); f["2.root.json"] != nil {
		t.Error("a root was published")
	}
}

// TestMalformedClaimsProveNothing: a claim that cannot be read makes its key
// unattested, and nobody signs on top of it.
func TestMalformedClaimsProveNothing(t *testing.T) {
	k := newSoftKey(t, key.ECDSAP256).key
	for name, field := range map[string]any{
		"no object":      "yes",
		"no list":        map[string]any{k.ID: "yes"},
		"empty":          map[string]any{k.ID: []any{}},
		"no base64":      map[string]any{k.ID: []any{"&"}},
		"loose base64":   map[string]any{k.ID: []any{"QUJ="}},
		"too many":       map[string]any{k.ID: []any{"QQ==", "QQ==", "QQ==", "QQ==", "QQ==", "QQ==", "QQ==", "QQ==", "QQ=="}},
		"no key's":       map[string]any{"ab": []any{"QQ=="}},
		"no text":        map[string]any{k.ID: []any{true}},
		"no attestation": map[string]any{k.ID: []any{"QQ=="}},
	} {
		t.Run(name, func(t *testing.T) {
			r := &root{header: header{rest: map[string]any{attestationsField: field}}, Keys: keys{k.ID: k}, Roles: map[string]keyRole{RoleRoot: newKeyRole([]*Key{k}, 1)}}
			if err := r.honest(key.BuiltinAttestationRoots()); !fault.Is(err, fault.Untrusted) {
				t.Errorf("honest: %v", err)
			}
			for fingerprint, chain := range r.attestations() {
				if _, err := key.VerifyAttestationOf(fingerprint, chain, key.BuiltinAttestationRoots()); !fault.Is(err, fault.Untrusted) {
					t.Errorf("verified: %v", err)
				}
			}
		})
	}
}

// TestClaimsOfOddKeys: what is claimed of a key that is not understood is nobody's,
// and two claims of one key that differ are worth as much as none.
func TestClaimsOfOddKeys(t *testing.T) {
	odd := &Key{ID: "odd"}
	k := newSoftKey(t, key.ECDSAP256).key
	twin := *k
	twin.ID = "twin"
	r := &root{Keys: keys{odd.ID: odd, k.ID: k, twin.ID: &twin}}
	for name, tt := range map[string]struct {
		claims map[string]any
		want   map[string][][]byte
	}{
		"not understood":   {map[string]any{"odd": []any{"QQ=="}}, map[string][][]byte{}},
		"one ID of two":    {map[string]any{"twin": []any{"QQ=="}}, map[string][][]byte{k.Fingerprint: {[]byte("A")}}},
		"the same twice":   {map[string]any{"twin": []any{"QQ=="}, k.ID: []any{"QQ=="}}, map[string][][]byte{k.Fingerprint: {[]byte("A")}}},
		"two claims":       {map[string]any{"twin": []any{"QQ=="}, k.ID: []any{"Qg=="}}, map[string][][]byte{k.Fingerprint: {}}},
		"one is malformed": {map[string]any{"twin": []any{"QQ=="}, k.ID: "yes"}, map[string][][]byte{k.Fingerprint: {}}},
	} {
		t.Run(name, func(t *testing.T) {
			r.rest = map[string]any{attestationsField: tt.claims}
			for range 20 { // whatever order a map has
				if diff := cmp.Diff(tt.want, r.attestations()); diff != "" {
					t.Fatal(diff)
				}
			}
			if err := r.honest(key.BuiltinAttestationRoots()); !fault.Is(err, fault.Untrusted) {
				t.Errorf("honest: %v", err)
			}
		})
	}
}
