package key

import (
	"crypto/x509"

	"plimsoll/internal/fault"
)

// VerifyAttestationOf is [VerifyAttestation] for who knows a key by its
// fingerprint alone: the chain itself holds the key.
func VerifyAttestationOf(fingerprint string, chain [][]byte, roots AttestationRoots) (*Attestation, error) {
	if len(chain) == 0 {
		return nil, fault.Errorf(fault.Untrusted, "the attestation holds no certificate that can be read")
	}
	if len(chain[0]) > maxCertificate {
		return nil, fault.Errorf(fault.Untrusted, "attestation, certificate 1: %d bytes, at most %d are taken", len(chain[0]), maxCertificate)
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nil, fault.Errorf(fault.Untrusted, "attestation, certificate 1: %w", err)
	}
	if f, err := Fingerprint(leaf.PublicKey); err != nil || f != fingerprint {
		return nil, fault.Errorf(fault.Untrusted, "the attestation is another key's")
	}
	return VerifyAttestation(leaf.PublicKey, chain, roots)
}
