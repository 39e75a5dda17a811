package key_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

// entity is a certificate with its key.
type entity struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// change alters a template before it is signed.
type change func(*x509.Certificate)

// sign makes a certificate for name, signed by parent or, if that is nil, by
// itself. It is a CA's unless a change says otherwise.
func sign(t *testing.T, name string, parent *entity, changes ...change) *entity {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0),
	}
	for _, change := range changes {
		change(c)
	}
	issuer, signer := c, k
	if parent != nil {
		issuer, signer = parent.cert, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, issuer, &k.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &entity{k, cert}
}

// ext sets Yubico's extension n.
func ext(n int, value ...byte) change {
	return func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 41482, 3, n}, Value: value})
	}
}

func noCA(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = false, false }

func pathLen(n int) change {
	return func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = n, n == 0 }
}

// slotKey is a key's certificate as a token with firmware 5.7.1 writes it.
func slotKey(t *testing.T, token *entity, changes ...change) *entity {
	t.Helper()
	return sign(t, "YubiKey PIV Attestation 9c", token, append([]change{noCA, ext(3, 5, 7, 1), ext(7, 2, 1, 42), ext(8, 3, 2), ext(9, 0x83)}, changes...)...)
}

func chainOf(entities ...*entity) [][]byte {
	var chain [][]byte
	for _, e := range entities {
		chain = append(chain, e.cert.Raw)
	}
	return chain
}

func pemOf(entities ...*entity) []byte {
	var text bytes.Buffer
	for _, e := range entities {
		_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: e.cert.Raw}) // a buffer takes everything
	}
	return text.Bytes()
}

func with(t *testing.T, name string, entities ...*entity) key.AttestationRoots {
	t.Helper()
	roots, err := key.BuiltinAttestationRoots().With(name, pemOf(entities...))
	if err != nil {
		t.Fatal(err)
	}
	return roots
}

// TestConfiguredMaker verifies tokens of another maker, whose chain lacks what
// is configured.
func TestConfiguredMaker(t *testing.T) {
	root := sign(t, "Acme Root", nil)
	middle := sign(t, "Acme PIV", root, pathLen(1))
	token := sign(t, "Acme Token", middle, pathLen(0))
	leaf := slotKey(t, token)
	for _, chain := range [][][]byte{chainOf(leaf, token), chainOf(leaf, token, middle), chainOf(leaf, token, middle, root)} {
		a, err := key.VerifyAttestation(leaf.key.Public(), chain, with(t, "acme", root, middle))
		if err != nil {
			t.Fatal(err)
		}
		if a.Maker != "acme" || a.Serial != "42" || a.Firmware != "5.7.1" || a.PIN != key.PolicyAlways || a.Touch != key.PolicyAlways ||
			a.Slot != "9c" || a.FormFactor != "USB-C keychain" || !a.FIPS {
			t.Errorf("got %+v", a)
		}
	}
}

// TestForgedAttestations are chains whose signatures all hold, and that lead to a
// root which is believed.
func TestForgedAttestations(t *testing.T) {
	root := sign(t, "Root", nil)
	token := sign(t, "Token", root, pathLen(0))
	tests := []struct {
		name, want string
		chain      func(t *testing.T) (*entity, [][]byte)
	}{
		{"signed with a slot's key", "is a key in a slot", func(t *testing.T) (*entity, [][]byte) {
			slot := slotKey(t, token)
			forged := slotKey(t, slot)
			return forged, chainOf(forged, slot, token)
		}},
		{"signed with a slot's key that calls itself a CA", "is a key in a slot", func(t *testing.T) (*entity, [][]byte) {
			slot := slotKey(t, token, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })
			forged := slotKey(t, slot)
			return forged, chainOf(forged, slot, token)
		}},
		{"a token that is no CA", "is not a CA's", func(t *testing.T) (*entity, [][]byte) {
			bare := sign(t, "Token", root, noCA)
			leaf := slotKey(t, bare)
			return leaf, chainOf(leaf, bare)
		}},
		{"a token under Yubico's old name that is no CA", "is not a CA's", func(t *testing.T) (*entity, [][]byte) {
			bare := sign(t, "Yubico PIV Attestation", root, noCA)
			leaf := slotKey(t, bare)
			return leaf, chainOf(leaf, bare)
		}},
		{"one issuer too many", "may not have", func(t *testing.T) (*entity, [][]byte) {
			second := sign(t, "Second token", token)
			leaf := slotKey(t, second)
			return leaf, chainOf(leaf, second, token)
		}},
		{"a token that may not sign", "may not sign", func(t *testing.T) (*entity, [][]byte) {
			dumb := sign(t, "Token", root, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })
			leaf := slotKey(t, dumb)
			return leaf, chainOf(leaf, dumb)
		}},
		{"the root in the token's place", "nobody known", func(t *testing.T) (*entity, [][]byte) {
			leaf := slotKey(t, root)
			return leaf, chainOf(leaf, root)
		}},
		{"Yubico's names", "nobody known", func(t *testing.T) (*entity, [][]byte) {
			root := sign(t, "Yubico PIV Root CA Serial 263751", nil)
			token := sign(t, "Yubico PIV Attestation", root)
			leaf := slotKey(t, token)
			return leaf, chainOf(leaf, token, root)
		}},
		{"no firmware", "firmware is malformed", func(t *testing.T) (*entity, [][]byte) {
			leaf := sign(t, "YubiKey PIV Attestation 9c", token, noCA, ext(8, 3, 2))
			return leaf, chainOf(leaf, token)
		}},
		{"no policies", "policies is malformed", func(t *testing.T) (*entity, [][]byte) {
			leaf := sign(t, "YubiKey PIV Attestation 9c", token, noCA, ext(3, 5, 7, 1))
			return leaf, chainOf(leaf, token)
		}},
		{"a policy that nobody knows", "policies is malformed", func(t *testing.T) (*entity, [][]byte) {
			leaf := sign(t, "x", token, noCA, ext(3, 5, 7, 1), ext(8, 2, 4))
			return leaf, chainOf(leaf, token)
		}},
		{"policy zero", "policies is malformed", func(t *testing.T) (*entity, [][]byte) {
			leaf := sign(t, "x", token, noCA, ext(3, 5, 7, 1), ext(8, 0, 2))
			return leaf, chainOf(leaf, token)
		}},
		{"a negative serial", "serial is malformed", func(t *testing.T) (*entity, [][]byte) {
			leaf := sign(t, "x", token, noCA, ext(3, 5, 7, 1), ext(8, 2, 2), ext(7, 2, 1, 0xff))
			return leaf, chainOf(leaf, token)
		}},
		{"a serial that is not DER", "serial is malformed", func(t *testing.T) (*entity, [][]byte) {
			leaf := sign(t, "x", token, noCA, ext(3, 5, 7, 1), ext(8, 2, 2), ext(7, 2, 2, 0, 1))
			return leaf, chainOf(leaf, token)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			leaf, chain := tt.chain(t)
			a, err := key.VerifyAttestation(leaf.key.Public(), chain, with(t, "test", root))
			if !fault.Is(err, fault.Untrusted) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %+v, %v; want %q", a, err, tt.want)
			}
		})
	}
}

func TestRootsThatAreRefused(t *testing.T) {
	root := sign(t, "Root", nil)
	good := pemOf(root)
	tests := []struct {
		name, maker string
		text        []byte
	}{
		{"empty", "acme", nil},
		{"no PEM", "acme", []byte("hello")},
		{"a name that is taken", "yubico", good},
		{"a name with a space", "ac me", good},
		{"no name", "", good},
		{"not a CA", "acme", pemOf(sign(t, "x", root, noCA))},
		{"an intermediate alone", "acme", pemOf(sign(t, "x", root))},
		{"another kind of block", "acme", bytes.ReplaceAll(good, []byte("CERTIFICATE"), []byte("PRIVATE KEY"))},
		{"a second that is cut", "acme", append(append([]byte(nil), good...), good[:200]...)},
		{"not DER", "acme", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})},
		{"too large", "acme", bytes.Repeat([]byte(" "), 1<<20)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := key.BuiltinAttestationRoots().With(tt.maker, tt.text); !fault.Is(err, fault.Invalid) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestOneKeyIsOneMakers: what Yubico's keys sign is judged as Yubico's, whatever
// else it is configured as, and nobody's tokens are another's by the order of names.
func TestOneKeyIsOneMakers(t *testing.T) {
	yubicos, err := os.ReadFile("roots/yubico.pem")
	if err != nil {
		t.Fatal(err)
	}
	root := sign(t, "Root", nil)
	middle := sign(t, "Middle", root, pathLen(1))
	for name, text := range map[string][]byte{"a root": pemOf(root), "another's intermediate as well": pemOf(sign(t, "Other", nil), middle), "Yubico's": yubicos} {
		if _, err := with(t, "acme", root, middle).With("able", text); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzAttestationRoots(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		roots, err := key.AttestationRoots{}.With("acme", text)
		if (err == nil) != (len(roots.Names()) == 1) {
			t.Errorf("%v and %v", roots.Names(), err)
		}
	})
}
