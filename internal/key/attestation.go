package key

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"

	"plimsoll/internal/fault"
)

// Attester is what a [Signer] may also be: one whose token can prove that it made
// the key.
type Attester interface {
	// Attest returns certificates in DER for [VerifyAttestation]: the key's
	// attestation certificate, then its issuers as far as the token holds them.
	// Untrusted if the token did not make the key, but was given it.
	Attest(ctx context.Context) ([][]byte, error)
}

// Attestation is what the maker of a token vouches for: that the token made the
// key, and that it cannot leave it.
type Attestation struct {
	Maker       string `json:"maker"`                // name of the roots that vouch, see [AttestationRoots]
	Serial      string `json:"serial,omitempty"`     // of the token, decimal; tokens with firmware 4 do not give it
	Firmware    string `json:"firmware"`             // "5.7.1"
	FormFactor  string `json:"formFactor,omitempty"` // "USB-A keychain"; "" if unknown
	FIPS        bool   `json:"fips"`                 // the token is of its maker's FIPS series
	PIN         Policy `json:"pinPolicy"`            // never, once, always, match-once or match-always
	Touch       Policy `json:"touchPolicy"`          // never, always or cached
	Slot        string `json:"slot,omitempty"`       // of a PIV token, "9c"; "" if unknown
	Fingerprint string `json:"fingerprint"`          // of the key, see [Fingerprint]
}

const (
	maxChain       = 8       // certificates
	maxCertificate = 8 << 10 // bytes of DER
)

// VerifyAttestation returns what the maker of a token says of the key pub. chain
// holds certificates in DER: the key's attestation certificate, then the
// token's own, then further issuers, each the issuer of the one before; the
// maker's root and the issuers that roots knows may be left out.
//
// It is Untrusted if the chain is malformed, speaks of another key, does not
// lead to a maker in roots, or lacks firmware or policies. Dates are not judged:
// tokens have no clock and copy them, and the statement is about the past.
// Nothing that roots does not hold is believed because of a name.
func VerifyAttestation(pub crypto.PublicKey, chain [][]byte, roots AttestationRoots) (*Attestation, error) {
	want, err := marshal(pub)
	if err != nil {
		return nil, err
	}
	certs, err := parseChain(chain)
	if err != nil {
		return nil, err
	}
	leaf := certs[0]
	if !bytes.Equal(leaf.RawSubjectPublicKeyInfo, want) {
		return nil, fault.Errorf(fault.Untrusted, "the attestation is another key's")
	}
	name, err := roots.vouch(certs)
	if err != nil {
		return nil, err
	}
	a := &Attestation{Maker: name, Slot: slotOf(leaf)}
	if err := a.read(leaf); err != nil {
		return nil, err
	}
	a.Fingerprint, err = Fingerprint(pub)
	return a, err
}

func parseChain(chain [][]byte) ([]*x509.Certificate, error) {
	if len(chain) < 2 || len(chain) > maxChain {
		return nil, fault.Errorf(fault.Untrusted, "an attestation of %d certificates; 2 to %d are taken", len(chain), maxChain)
	}
	certs := make([]*x509.Certificate, len(chain))
	for i, der := range chain {
		if len(der) > maxCertificate {
			return nil, fault.Errorf(fault.Untrusted, "attestation, certificate %d: %d bytes, at most %d are taken", i+1, len(der), maxCertificate)
		}
		var err error
		if certs[i], err = x509.ParseCertificate(der); err != nil {
			return nil, fault.Errorf(fault.Untrusted, "attestation, certificate %d: %w", i+1, err)
		}
	}
	return certs, nil
}
