package piv_test

import (
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/tools/softpiv"
)

// client runs programs of others with the desk's cards.
type client struct {
	t   *testing.T
	d   *desk
	dir string
}

// clients needs the programs; under CI they must be there.
func clients(t *testing.T, d *desk, programs ...string) *client {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("missing: %s", name)
		}
		t.Skipf("missing: %s", name)
	}
	return &client{t, d, t.TempDir()}
}

// run returns what a program prints; it must succeed, unless its output is to
// contain failure.
func (c *client) run(failure string, args ...string) string {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), args[0], args[1:]...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "PCSCLITE_CSOCK_NAME="+c.d.Socket)
	out, err := cmd.CombinedOutput()
	if (err != nil) != (failure != "") || !strings.Contains(string(out), failure) {
		c.t.Fatalf("%q: %v, want %q\n%s", args, err, failure, out)
	}
	return string(out)
}

func (c *client) write(name string, text []byte) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, name), text, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// ykcs11 returns the path of Yubico's PKCS#11 module.
func ykcs11(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("PLIMSOLL_YKCS11"); path != "" {
		return path
	}
	found, err := filepath.Glob("/usr/lib/*/libykcs11.so*")
	if err == nil && len(found) > 0 {
		return found[0]
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("missing: libykcs11.so")
	}
	t.Skip("missing: libykcs11.so, or its path in PLIMSOLL_YKCS11")
	return ""
}

// TestIndependentClientsMakeKeys has Yubico's tool and openssl do everything,
// and this package read what they did: what the soft card is measured by.
func TestIndependentClientsMakeKeys(t *testing.T) {
	d := sit(t, softpiv.Config{Serial: 12345678, Firmware: [3]byte{5, 4, 3}})
	c := clients(t, d, "yubico-piv-tool", "opensc-tool", "openssl")
	if out := c.run("", "opensc-tool", "-l"); strings.Count(out, "Yes") != 1 {
		t.Errorf("opensc-tool lists %s", out)
	}
	if out := c.run("", "yubico-piv-tool", "-a", "status"); !strings.Contains(out, "12345678") || !strings.Contains(out, "PIN tries left:	3") {
		t.Errorf("status: %s", out)
	}
	c.run("", "yubico-piv-tool", "-a", "generate", "-s", "9c", "-A", "ECCP256", "--pin-policy=once", "--touch-policy=always", "-o", "pub.pem")
	c.run("", "yubico-piv-tool", "-a", "attest", "-s", "9c", "-o", "leaf.pem")
	c.run("", "yubico-piv-tool", "-a", "read-certificate", "-s", "f9", "-o", "token.pem")
	c.write("root.pem", d.authority.PEM())
	c.run("", "openssl", "verify", "-CAfile", "root.pem", "-untrusted", "token.pem", "leaf.pem")
	c.run("", "yubico-piv-tool", "-a", "verify-pin", "-P", softpiv.PIN, "-a", "test-signature", "-s", "9c", "-i", "leaf.pem")

	s, err := d.provider(softpiv.PIN).Open(t.Context(), "piv:slot=9c")
	if err != nil {
		t.Fatal(err)
	}
	defer closeKey(t, s)
	public, err := key.MarshalPublic(s.Public())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := os.ReadFile(filepath.Join(c.dir, "pub.pem"))
	if err != nil || string(theirs) != string(public) {
		t.Errorf("%v: their public key\n%sours\n%s", err, theirs, public)
	}
	chain, err := s.(key.Attester).Attest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if leaf := leafOf(t, chain); leaf.Subject.CommonName != "YubiKey PIV Attestation 9c" {
		t.Errorf("attested %q", leaf.Subject.CommonName)
	}
	c.signedByOpenSSL(s)
}

// signedByOpenSSL signs with s and has openssl verify it.
func (c *client) signedByOpenSSL(s key.Signer) {
	c.t.Helper()
	message := []byte("root.json")
	sig, err := s.Sign(c.t.Context(), message)
	if err != nil {
		c.t.Fatal(err)
	}
	public, err := key.MarshalPublic(s.Public())
	if err != nil {
		c.t.Fatal(err)
	}
	c.write("message", message)
	c.write("sig", sig)
	c.write("ours.pem", public)
	c.run("", "openssl", "dgst", "-sha256", "-verify", "ours.pem", "-signature", "sig", "message")
}

// TestIndependentClientsUseOurKeys makes keys here and lets others list, sign
// with and attest them.
func TestIndependentClientsUseOurKeys(t *testing.T) {
	var absent atomic.Bool
	d := sit(t, softpiv.Config{Serial: 12345678, Firmware: [3]byte{5, 4, 3}, Touch: func() bool { return !absent.Load() }})
	c := clients(t, d, "yubico-piv-tool", "pkcs11-tool", "openssl")
	module := ykcs11(t)
	s := generate(t, d.provider(softpiv.PIN), "piv:slot=9c", key.ECDSAP256, key.Policies{})
	c.signedByOpenSSL(s)
	chain, err := s.(key.Attester).Attest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.write("leaf.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: chain[0]}))
	c.run("", "yubico-piv-tool", "-a", "verify-pin", "-P", softpiv.PIN, "-a", "test-signature", "-s", "9c", "-i", "leaf.pem")
	if out := c.run("", "pkcs11-tool", "--module", module, "-O", "--login", "--pin", softpiv.PIN); !strings.Contains(out, "Private key for Digital Signature") {
		t.Errorf("pkcs11-tool lists %s", out)
	}
	sign := []string{
		"pkcs11-tool", "--module", module, "--login", "--pin", softpiv.PIN, "--sign", "--mechanism", "ECDSA-SHA256",
		"--id", "02", "-f", "openssl", "-i", "message", "-o", "theirs",
	}
	c.run("", sign...)
	c.run("", "openssl", "dgst", "-sha256", "-verify", "ours.pem", "-signature", "theirs", "message")

	absent.Store(true) // the same for everybody
	c.run("error", sign...)
	if _, err := s.Sign(t.Context(), nil); err == nil {
		t.Error("signed without a touch")
	}
	c.run("", "yubico-piv-tool", "-a", "status")
}

// TestIndependentClientsAndPINs spends tries with one program and sees them
// missing with the other.
func TestIndependentClientsAndPINs(t *testing.T) {
	d := sit(t, softpiv.Config{Serial: 12345678, Firmware: [3]byte{5, 4, 3}})
	c := clients(t, d, "yubico-piv-tool")
	s := generate(t, d.provider(""), "piv:slot=9c", key.ECDSAP256, key.Policies{Touch: key.PolicyNever})
	c.run("2 tries left", "yubico-piv-tool", "-a", "verify-pin", "-P", "999999")
	d.person.answers = []string{"999999"}
	_, _ = s.Sign(t.Context(), nil)
	if asked, _ := d.person.was(); len(asked) != 1 || asked[0] != "PIN of PIV token 12345678 (2 tries left)" {
		t.Errorf("asked %q", asked)
	}
	c.run("", "yubico-piv-tool", "-a", "verify-pin", "-P", softpiv.PIN)
	for range 3 {
		d.person.answers = []string{"999999"}
		_, _ = s.Sign(t.Context(), nil)
	}
	c.run("blocked", "yubico-piv-tool", "-a", "verify-pin", "-P", softpiv.PIN)
	c.run("", "yubico-piv-tool", "-a", "unblock-pin", "-P", softpiv.PUK, "-N", "654321")
	d.person.answers = []string{"654321"}
	signs(t, s, "with the new PIN")
}

// TestGivenKeysAreNotAttested puts a key made elsewhere into the card, with
// Yubico's tool: it signs, and nobody vouches for it.
func TestGivenKeysAreNotAttested(t *testing.T) {
	d := sit(t, softpiv.Config{Serial: 1, Firmware: [3]byte{5, 4, 3}})
	c := clients(t, d, "yubico-piv-tool", "openssl")
	c.run("", "openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key.pem")
	c.run("", "yubico-piv-tool", "-a", "import-key", "-s", "9a", "-i", "key.pem")
	s, err := d.provider(softpiv.PIN).Open(t.Context(), "piv:slot=9a")
	if err != nil {
		t.Fatal(err)
	}
	defer closeKey(t, s)
	signs(t, s, "m")
	_, err = s.(key.Attester).Attest(t.Context())
	refused(t, err, fault.Untrusted, "was not made in it", "make a new key")
}
