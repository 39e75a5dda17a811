package key_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

// readCertificates returns the DER of the certificates in a PEM file.
func readCertificates(t testing.TB, path string) [][]byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		all = append(all, block.Bytes)
	}
	return all
}

// keyIn returns the key that a certificate is for.
func keyIn(t testing.TB, der []byte) crypto.PublicKey {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c.PublicKey
}

// TestYubicoRootsAreThosePublished compares what is built in with the table of
// fingerprints beside it.
func TestYubicoRootsAreThosePublished(t *testing.T) {
	table, err := os.ReadFile("roots/README.md")
	if err != nil {
		t.Fatal(err)
	}
	certs := readCertificates(t, "roots/yubico.pem")
	if len(certs) != 8 {
		t.Errorf("%d certificates, want 8", len(certs))
	}
	for _, der := range certs {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(der)
		found := false
		for line := range strings.Lines(string(table)) {
			found = found || strings.Contains(line, c.Subject.CommonName) && strings.Contains(line, hex.EncodeToString(sum[:]))
		}
		if !found {
			t.Errorf("%q with %x is not in the table", c.Subject.CommonName, sum)
		}
	}
	if diff := cmp.Diff([]string{"yubico"}, key.BuiltinAttestationRoots().Names()); diff != "" {
		t.Error(diff)
	}
}

// TestRealTokens verifies what YubiKeys really wrote.
func TestRealTokens(t *testing.T) {
	tests := []struct {
		file string
		want key.Attestation
	}{
		{"yubikey-5.4.3.pem", key.Attestation{
			Maker: "yubico", Serial: "15732500", Firmware: "5.4.3", FormFactor: "USB-C nano",
			PIN: key.PolicyOnce, Touch: key.PolicyNever, Slot: "9a",
		}},
		// Signed by the root for U2F, without serial, form factor and basic constraints.
		{"yubikey-4.3.7.pem", key.Attestation{
			Maker: "yubico", Firmware: "4.3.7", PIN: key.PolicyOnce, Touch: key.PolicyNever, Slot: "9a",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			chain := readCertificates(t, filepath.Join("testdata", tt.file))
			pub := keyIn(t, chain[0])
			got, err := key.VerifyAttestation(pub, chain, key.BuiltinAttestationRoots())
			if err != nil {
				t.Fatal(err)
			}
			if tt.want.Fingerprint, err = key.Fingerprint(pub); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestTheRootMayBeInTheChain gives the chain with its root, and then twice.
func TestTheRootMayBeInTheChain(t *testing.T) {
	roots := readCertificates(t, "roots/yubico.pem")
	chain := readCertificates(t, "testdata/yubikey-5.4.3.pem")
	pub := keyIn(t, chain[0])
	chain = append(chain, roots[1])
	if _, err := key.VerifyAttestation(pub, chain, key.BuiltinAttestationRoots()); err != nil {
		t.Error(err)
	}
	if _, err := key.VerifyAttestation(pub, append(chain, roots[0]), key.BuiltinAttestationRoots()); !fault.Is(err, fault.Untrusted) {
		t.Errorf("a chain that goes on behind its root: %v", err)
	}
}

// TestMixedTokens takes a key's certificate of one real token and the own
// certificate, of the same name, of another.
func TestMixedTokens(t *testing.T) {
	a, b := readCertificates(t, "testdata/yubikey-5.4.3.pem"), readCertificates(t, "testdata/yubikey-4.3.7.pem")
	_, err := key.VerifyAttestation(keyIn(t, a[0]), [][]byte{a[0], b[1]}, key.BuiltinAttestationRoots())
	if !fault.Is(err, fault.Untrusted) || !strings.Contains(err.Error(), "is not signed by") {
		t.Errorf("got %v", err)
	}
}

func TestAnotherKeysAttestation(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	chain := readCertificates(t, "testdata/yubikey-5.4.3.pem")
	if _, err := key.VerifyAttestation(other.Public(), chain, key.BuiltinAttestationRoots()); !fault.Is(err, fault.Untrusted) || !strings.Contains(err.Error(), "another key's") {
		t.Errorf("got %v", err)
	}
	pub := keyIn(t, chain[0])
	if _, err := key.VerifyAttestation(pub, chain, key.AttestationRoots{}); !fault.Is(err, fault.Untrusted) || !strings.Contains(err.Error(), "none is known") {
		t.Errorf("without roots: %v", err)
	}
}

// TestEveryAlteredByteIsRefused turns over one bit of each byte of the key's
// certificate.
func TestEveryAlteredByteIsRefused(t *testing.T) {
	chain := readCertificates(t, "testdata/yubikey-5.4.3.pem")
	pub, roots := keyIn(t, chain[0]), key.BuiltinAttestationRoots()
	for i := range chain[0] {
		altered := append([]byte(nil), chain[0]...)
		altered[i] ^= 1 << (i % 8)
		if a, err := key.VerifyAttestation(pub, [][]byte{altered, chain[1]}, roots); !fault.Is(err, fault.Untrusted) {
			t.Errorf("byte %d altered: %+v, %v", i, a, err)
		}
	}
}

func TestChainsOfTheWrongShape(t *testing.T) {
	real := readCertificates(t, "testdata/yubikey-5.4.3.pem")
	pub := keyIn(t, real[0])
	tests := []struct {
		name  string
		chain [][]byte
	}{
		{"nothing", nil},
		{"the key's certificate alone", real[:1]},
		{"the wrong order", [][]byte{real[1], real[0]}},
		{"the token twice", [][]byte{real[0], real[1], real[1]}},
		{"too many", [][]byte{real[0], real[1], real[1], real[1], real[1], real[1], real[1], real[1], real[1]}},
		{"too large", [][]byte{real[0], make([]byte, 64<<10)}},
		{"something behind a certificate", [][]byte{append(append([]byte(nil), real[0]...), 0), real[1]}},
		{"no certificate", [][]byte{real[0], []byte("hello")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := key.VerifyAttestation(pub, tt.chain, key.BuiltinAttestationRoots()); !fault.Is(err, fault.Untrusted) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func FuzzVerifyAttestation(f *testing.F) {
	for _, name := range []string{"yubikey-5.4.3.pem", "yubikey-4.3.7.pem"} {
		chain := readCertificates(f, filepath.Join("testdata", name))
		f.Add(chain[0], chain[1])
	}
	roots := key.BuiltinAttestationRoots()
	real := readCertificates(f, "testdata/yubikey-5.4.3.pem")
	pub := keyIn(f, real[0])
	f.Fuzz(func(t *testing.T, leaf, token []byte) {
		a, err := key.VerifyAttestation(pub, [][]byte{leaf, token}, roots)
		if (a == nil) != (err != nil) {
			t.Errorf("%v and %v", a, err)
		}
		if err == nil && string(leaf) != string(real[0]) {
			t.Errorf("taken: %x", leaf)
		}
	})
}

func ExampleVerifyAttestation() {
	text, err := os.ReadFile("testdata/yubikey-5.4.3.pem") // as `plimsoll key attest --out` writes it
	if err != nil {
		fmt.Println(err)
		return
	}
	var chain [][]byte
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		chain = append(chain, block.Bytes)
	}
	c, err := x509.ParseCertificate(chain[0])
	if err != nil {
		fmt.Println(err)
		return
	}
	a, err := key.VerifyAttestation(c.PublicKey, chain, key.BuiltinAttestationRoots())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(a.Maker, a.Serial, a.Firmware, a.PIN, a.Touch)
	// Output: yubico 15732500 5.4.3 once never
}
