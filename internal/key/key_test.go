package key_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

func newECDSA(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newEd25519(t testing.TB) (ed25519.PublicKey, ed25519.PrivateKey) {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pub, priv
}

func TestVerify(t *testing.T) {
	message := []byte("root.json")
	sum := sha256.Sum256(message)
	ec := newECDSA(t, elliptic.P256())
	good, err := ecdsa.SignASN1(rand.Reader, ec, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(good, &rs); err != nil {
		t.Fatal(err)
	}
	raw := append(rs.R.FillBytes(make([]byte, 32)), rs.S.FillBytes(make([]byte, 32))...)
	edPub, edPriv := newEd25519(t)
	edGood := ed25519.Sign(edPriv, message)
	p384 := newECDSA(t, elliptic.P384())
	sig384, err := ecdsa.SignASN1(rand.Reader, p384, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ok := fault.Kind(255)
	tests := []struct {
		name string
		pub  crypto.PublicKey
		msg  string
		sig  []byte
		want fault.Kind
	}{
		{"P-256", ec.Public(), "root.json", good, ok},
		{"P-256, another message", ec.Public(), "root.jsom", good, fault.Untrusted},
		{"P-256, another key", newECDSA(t, elliptic.P256()).Public(), "root.json", good, fault.Untrusted},
		{"P-256, raw r and s", ec.Public(), "root.json", raw, fault.Untrusted},
		{"P-256, trailing byte", ec.Public(), "root.json", append(good[:len(good):len(good)], 0), fault.Untrusted},
		{"P-256, cut", ec.Public(), "root.json", good[:len(good)-1], fault.Untrusted},
		{"P-256, nothing", ec.Public(), "root.json", nil, fault.Untrusted},
		{"Ed25519", edPub, "root.json", edGood, ok},
		{"Ed25519, another message", edPub, "root.jsom", edGood, fault.Untrusted},
		{"Ed25519, signature of P-256", edPub, "root.json", good, fault.Untrusted},
		{"Ed25519, short key", edPub[:31], "root.json", edGood, fault.Invalid},
		{"Ed25519 key by pointer", &edPub, "root.json", edGood, fault.Invalid},
		{"P-384", p384.Public(), "root.json", sig384, fault.Invalid},
		{"RSA", rsaKey.Public(), "root.json", good, fault.Invalid},
		{"nil", nil, "root.json", good, fault.Invalid},
		{"nil ECDSA", (*ecdsa.PublicKey)(nil), "root.json", good, fault.Invalid},
		{"empty ECDSA", new(ecdsa.PublicKey), "root.json", good, fault.Invalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := key.Verify(tt.pub, []byte(tt.msg), tt.sig)
			if (err == nil) != (tt.want == ok) || (err != nil && fault.KindOf(err) != tt.want) {
				t.Errorf("Verify: %v, want kind %v", err, tt.want)
			}
		})
	}
}

func TestPublicRoundTrip(t *testing.T) {
	edPub, _ := newEd25519(t)
	for _, pub := range []crypto.PublicKey{newECDSA(t, elliptic.P256()).Public(), edPub} {
		text, err := key.MarshalPublic(pub)
		if err != nil {
			t.Fatal(err)
		}
		got, err := key.ParsePublic(append([]byte("\n"), text...))
		if err != nil {
			t.Fatal(err)
		}
		if !got.(interface{ Equal(crypto.PublicKey) bool }).Equal(pub) {
			t.Error("the key came back as another")
		}
	}
}

func TestParsePublicRefuses(t *testing.T) {
	good, err := key.MarshalPublic(newECDSA(t, elliptic.P256()).Public())
	if err != nil {
		t.Fatal(err)
	}
	p384, err := x509.MarshalPKIXPublicKey(newECDSA(t, elliptic.P384()).Public())
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(good)
	encode := func(kind string, headers map[string]string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Headers: headers, Bytes: der}))
	}
	tests := map[string]string{
		"empty":           "",
		"text before":     "a comment\n" + string(good),
		"text after":      string(good) + "x",
		"two keys":        string(good) + string(good),
		"headers":         encode("PUBLIC KEY", map[string]string{"a": "b"}, block.Bytes),
		"certificate":     encode("CERTIFICATE", nil, block.Bytes),
		"private key":     encode("PRIVATE KEY", nil, block.Bytes),
		"P-384":           encode("PUBLIC KEY", nil, p384),
		"trailing bytes":  encode("PUBLIC KEY", nil, append(block.Bytes[:len(block.Bytes):len(block.Bytes)], 0)),
		"not ASN.1":       encode("PUBLIC KEY", nil, []byte("hello")),
		"too long":        strings.Repeat(" ", 5000) + string(good),
		"point off curve": encode("PUBLIC KEY", nil, append(block.Bytes[:len(block.Bytes)-1:len(block.Bytes)-1], block.Bytes[len(block.Bytes)-1]^1)),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			if pub, err := key.ParsePublic([]byte(text)); !fault.Is(err, fault.Invalid) {
				t.Errorf("ParsePublic = %v, %v; want Invalid", pub, err)
			}
		})
	}
}

func FuzzParsePublic(f *testing.F) {
	edPub, _ := newEd25519(f)
	for _, pub := range []crypto.PublicKey{newECDSA(f, elliptic.P256()).Public(), edPub} {
		text, err := key.MarshalPublic(pub)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----"))
	f.Fuzz(func(t *testing.T, text []byte) {
		pub, err := key.ParsePublic(text)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("kind %v: %v", fault.KindOf(err), err)
			}
			return
		}
		again, err := key.MarshalPublic(pub)
		if err != nil {
			t.Fatal(err)
		}
		same, err := key.ParsePublic(again)
		if err != nil || !same.(interface{ Equal(crypto.PublicKey) bool }).Equal(pub) {
			t.Fatalf("round trip: %v", err)
		}
	})
}

// echo is a provider that returns what it was asked for.
type echo struct{}

func (echo) Open(context.Context, string) (key.Signer, error) {
	return nil, fault.Errorf(fault.NotFound, "asked")
}

func (echo) Generate(context.Context, string, key.Algorithm) (key.Signer, error) {
	return nil, fault.Errorf(fault.Conflict, "asked")
}

func (echo) List(_ context.Context, uri string) ([]key.Info, error) {
	return []key.Info{{URI: uri}}, nil
}

func TestProviders(t *testing.T) {
	p := key.Providers{"file": echo{}, "pkcs11": echo{}}
	got, err := p.List(t.Context(), "PKCS11:token=x")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]key.Info{{URI: "PKCS11:token=x"}}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := p.Open(t.Context(), "file:x"); !fault.Is(err, fault.NotFound) {
		t.Errorf("Open: %v", err)
	}
	if _, err := p.Generate(t.Context(), "file:x", key.Ed25519); !fault.Is(err, fault.Conflict) {
		t.Errorf("Generate: %v", err)
	}
	if _, err := p.Generate(t.Context(), "file:x", "rsa"); !fault.Is(err, fault.Invalid) {
		t.Errorf("Generate with RSA: %v", err)
	}
	for _, uri := range []string{"", "root.pem", "kms:x", ":", "file"} {
		_, err := p.Open(t.Context(), uri)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "known are file:, pkcs11:") {
			t.Errorf("Open(%q): %v", uri, err)
		}
	}
}

func ExampleFingerprint() {
	pub, err := key.ParsePublic([]byte(`-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----`)) // RFC 8410, section 10.1
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(key.Fingerprint(pub))
	// Output: sha256:a1e9156054e04fac899ae9f275132cdc07a5dbc4ea2c2ad3a1ffc6e0d253681f <nil>
}

// made notes which policies a key was to have.
type made struct {
	key.Provider
	policies key.Policies
}

func (m *made) GenerateWith(_ context.Context, _ string, _ key.Algorithm, policies key.Policies) (key.Signer, error) {
	m.policies = policies
	return nil, nil
}

// TestPoliciesReachOnlyWhoKnowsThem: they are not dropped on the way.
func TestPoliciesReachOnlyWhoKnowsThem(t *testing.T) {
	token := &made{}
	providers := key.Providers{"piv": token, "file": struct{ key.Provider }{}}
	want := key.Policies{PIN: key.PolicyOnce, Touch: key.PolicyAlways}
	if _, err := providers.GenerateWith(t.Context(), "piv:slot=9c", key.ECDSAP256, want); err != nil || token.policies != want {
		t.Errorf("got %+v, %v", token.policies, err)
	}
	if _, err := providers.GenerateWith(t.Context(), "file:x", key.ECDSAP256, want); !fault.Is(err, fault.Invalid) {
		t.Errorf("got %v", err)
	}
	if _, err := providers.GenerateWith(t.Context(), "piv:slot=9c", "rsa", want); !fault.Is(err, fault.Invalid) {
		t.Errorf("got %v", err)
	}
}
