package gate_test

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"strings"
	"testing"

	"plimsoll/internal/key"
	"plimsoll/internal/policy"
	"plimsoll/internal/verdict"
)

// yubiKey returns what a real YubiKey with firmware 5.4.3 attested: the
// fingerprint of its key and the chain.
func yubiKey(t *testing.T) (fingerprint string, chain [][]byte) {
	t.Helper()
	text, err := os.ReadFile("../key/testdata/yubikey-5.4.3.pem")
	if err != nil {
		t.Fatal(err)
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		chain = append(chain, block.Bytes)
	}
	c, err := x509.ParseCertificate(chain[0])
	if err != nil {
		t.Fatal(err)
	}
	if fingerprint, err = key.Fingerprint(c.PublicKey); err != nil {
		t.Fatal(err)
	}
	return fingerprint, chain
}

// TestHardwareDecides asks with roots whose keys are in a real token, in a file,
// or falsely said to be in a token.
func TestHardwareDecides(t *testing.T) {
	fingerprint, chain := yubiKey(t)
	other := "sha256:" + strings.Repeat("ab", 32)
	tests := []struct {
		name, demand string
		claims       map[string][][]byte
		roots        key.AttestationRoots
		want         string // in the denial; "" if allowed
	}{
		{"a YubiKey", "required", map[string][][]byte{fingerprint: chain}, key.BuiltinAttestationRoots(), ""},
		{"its maker is not believed", "required", map[string][][]byte{fingerprint: chain}, key.AttestationRoots{}, "none is known"},
		{"old firmware", `{attestation: required, firmware: ">=5.7"}`, map[string][][]byte{fingerprint: chain}, key.BuiltinAttestationRoots(), "firmware 5.4.3"},
		{"no touch", `{attestation: required, touch: always}`, map[string][][]byte{fingerprint: chain}, key.BuiltinAttestationRoots(), `touch "never"`},
		{"another key's", "required", map[string][][]byte{other: chain}, key.BuiltinAttestationRoots(), "another key's"},
		{"one in a file", "required", map[string][][]byte{fingerprint: chain, other: nil}, key.BuiltinAttestationRoots(), "not attested"},
		{"cannot be read", "required", map[string][][]byte{fingerprint: {}}, key.BuiltinAttestationRoots(), "no certificate that can be read"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			var err error
			text := strings.Replace(document, "    rootKeys:", "    hardware: "+tt.demand+"\n    rootKeys:", 1)
			if w.Policy, err = policy.Parse("policy.yaml", []byte(text)); err != nil {
				t.Fatal(err)
			}
			w.attestations, w.Attestation = tt.claims, tt.roots
			d := decide(t, w, request()).Decision
			for _, r := range d.Reasons {
				if r.Rule != "hardware" {
					continue
				}
				if (r.Outcome == verdict.Allowed) != (tt.want == "") || !strings.Contains(strings.Join(r.Evidence, "\n"), tt.want) {
					t.Errorf("got %+v", r)
				}
				return
			}
			t.Errorf("no reason about hardware in %+v", d.Reasons)
		})
	}
}
