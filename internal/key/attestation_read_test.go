package key

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFirmware574 reads what a token of the present generation wrote; its own
// certificate is not at hand, so that nobody vouches for it here.
func TestFirmware574(t *testing.T) {
	text, err := os.ReadFile("testdata/yubikey-5.7.4.pem")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	got := Attestation{Slot: slotOf(leaf)}
	if err := got.read(leaf); err != nil {
		t.Fatal(err)
	}
	want := Attestation{Serial: "36345471", Firmware: "5.7.4", FormFactor: "USB-A keychain", PIN: PolicyOnce, Touch: PolicyNever, Slot: "9a"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestYubicosNewChain takes the built-in intermediates for a token's: they lead
// to the root, but nothing of them is a token's own.
func TestYubicosNewChain(t *testing.T) {
	roots := BuiltinAttestationRoots().makers[Yubico]
	if len(roots.roots) != 3 || len(roots.intermediates) != 5 {
		t.Fatalf("%d roots and %d intermediates", len(roots.roots), len(roots.intermediates))
	}
	for _, c := range roots.intermediates {
		path, ok := roots.complete([]*x509.Certificate{c})
		if !ok {
			t.Errorf("%q leads nowhere", cleanName(c))
		}
		if forPIV(path) {
			t.Errorf("%q passes for a key in a token", cleanName(c))
		}
	}
}
