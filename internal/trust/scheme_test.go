package trust

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/key"
)

func pemOf(t testing.TB, pub crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func newRSA(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestKeyForms: what is understood as which key.
func TestKeyForms(t *testing.T) {
	ed := newSoftKey(t, key.Ed25519)
	edText := hex.EncodeToString(ed.Public().(ed25519.PublicKey))
	p256 := pemOf(t, newSoftKey(t, key.ECDSAP256).Public())
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	strong, weak := newRSA(t, 2048), newRSA(t, 1024)
	rsaText := pemOf(t, strong.Public())
	pkcs1 := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&strong.PublicKey)}))
	tests := []struct {
		name, keytype, scheme, text string
		understood                  bool
	}{
		{"P-256", typeECDSA, schemeECDSA, p256, true},
		{"P-256 by its old name", typeECDSALong, schemeECDSA, p256, true},
		{"P-256 without a line's end", typeECDSA, schemeECDSA, strings.TrimSpace(p256), true},
		{"P-256, scheme of RSA", typeECDSA, schemeRSAPSS, p256, false},
		{"P-384", typeECDSA, schemeECDSA, pemOf(t, p384.Public()), false},
		{"P-384 by its own scheme", typeECDSA, "ecdsa-sha2-nistp384", pemOf(t, p384.Public()), false},
		{"Ed25519", typeEd25519, schemeEd25519, edText, true},
		{"Ed25519, cut", typeEd25519, schemeEd25519, edText[2:], false},
		{"Ed25519 in PEM", typeEd25519, schemeEd25519, pemOf(t, ed.Public()), false},
		{"Ed25519 as P-256", typeECDSA, schemeECDSA, pemOf(t, ed.Public()), false},
		{"RSA, PSS", typeRSA, schemeRSAPSS, rsaText, true},
		{"RSA, PKCS#1 v1.5", typeRSA, schemeRSAPKCS1, rsaText, true},
		{"RSA of 1024 bits", typeRSA, schemeRSAPSS, pemOf(t, weak.Public()), false},
		{"RSA in the old form", typeRSA, schemeRSAPSS, pkcs1, false},
		{"RSA, text after it", typeRSA, schemeRSAPSS, rsaText + "x", false},
		{"RSA, too long", typeRSA, schemeRSAPSS, strings.Repeat("\n", 5000) + rsaText, false},
		{"RSA, scheme that is not known", typeRSA, "rsassa-pss-sha1", rsaText, false},
		{"P-256 as RSA", typeRSA, schemeRSAPSS, p256, false},
		{"nothing", "", "", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := &Key{Type: tt.keytype, Scheme: tt.scheme}
			k.parse(tt.text)
			if (k.Public != nil) != tt.understood || (k.Fingerprint != "") != tt.understood {
				t.Errorf("public %v, fingerprint %q", k.Public, k.Fingerprint)
			}
		})
	}
}

func TestVerifyRSA(t *testing.T) {
	private := newRSA(t, 2048)
	message := []byte("root.json")
	sum := sha256.Sum256(message)
	pss := func(salt int) []byte {
		sig, err := rsa.SignPSS(rand.Reader, private, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: salt})
		if err != nil {
			t.Fatal(err)
		}
		return sig
	}
	v15, err := rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	altered := pss(32)
	altered[0] ^= 1
	tests := []struct {
		name, scheme string
		sig          []byte
		want         bool
	}{
		{"PSS", schemeRSAPSS, pss(32), true},
		{"PSS, longest salt", schemeRSAPSS, pss(rsa.PSSSaltLengthAuto), true},
		{"PSS, altered", schemeRSAPSS, altered, false},
		{"PSS, nothing", schemeRSAPSS, nil, false},
		{"PSS by PKCS#1 v1.5", schemeRSAPSS, v15, false},
		{"PKCS#1 v1.5", schemeRSAPKCS1, v15, true},
		{"PKCS#1 v1.5 by PSS", schemeRSAPKCS1, pss(32), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := &Key{Type: typeRSA, Scheme: tt.scheme}
			k.parse(pemOf(t, private.Public()))
			if got := k.verify(message, tt.sig); got != tt.want {
				t.Errorf("verifies: %v", got)
			}
			if k.verify([]byte("another"), tt.sig) {
				t.Error("another message verifies")
			}
		})
	}
}

// TestKeyNotUnderstoodIsKept: a publisher who does not understand a key signs the
// root again without harming it.
func TestKeyNotUnderstoodIsKept(t *testing.T) {
	w := newWorld(t)
	odd := map[string]any{"keytype": "lattice", "scheme": "x-1", "keyval": map[string]any{"n": []any{"a"}}}
	k := &Key{object: odd}
	id, err := k.hash()
	w.must(err)
	f := w.files()
	w.forge(f, "1.root.json", func(s map[string]any) {
		list, _ := s["keys"].(map[string]any)
		list[id] = odd
		roles, _ := s["roles"].(map[string]any)
		role, _ := roles["root"].(map[string]any)
		ids, _ := role["keyids"].([]any)
		role["keyids"] = append(ids, id)
	}, "root1", "root2")
	w.write(f)
	w.newKey("targets2")
	w.must(w.repo.Rotate(t.Context(), []string{RoleTargets}, w.public("targets2"), 0))
	m, err := parse(w.files()["2.root.json"], decodeRoot)
	w.must(err)
	if diff := cmp.Diff(odd, m.Signed.Keys[id].encode()); diff != "" {
		t.Error(diff)
	}
	if len(m.Signed.Roles[RoleRoot].KeyIDs) != 4 {
		t.Errorf("root's keys are %q", m.Signed.Roles[RoleRoot].KeyIDs)
	}
}

// FuzzKey: no text of a public key does harm, and what is understood has a
// fingerprint by which it counts.
func FuzzKey(f *testing.F) {
	f.Add(typeECDSA, schemeECDSA, pemOf(f, newSoftKey(f, key.ECDSAP256).Public()))
	f.Add(typeRSA, schemeRSAPSS, pemOf(f, newRSA(f, 2048).Public()))
	f.Add(typeEd25519, schemeEd25519, strings.Repeat("00", 32))
	f.Add(typeRSA, schemeRSAPKCS1, "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----")
	f.Fuzz(func(t *testing.T, keytype, scheme, text string) {
		k := &Key{Type: keytype, Scheme: scheme}
		k.parse(text)
		if (k.Public == nil) != (k.Fingerprint == "") {
			t.Errorf("public %v, fingerprint %q", k.Public, k.Fingerprint)
		}
		if k.verify([]byte("message"), []byte(text)) {
			t.Error("a text that is no signature verifies")
		}
	})
}
