package key

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"

	"plimsoll/internal/fault"
)

// ParseAlgorithm returns the algorithm called name, or Invalid.
func ParseAlgorithm(name string) (Algorithm, error) {
	switch a := Algorithm(name); a {
	case ECDSAP256, Ed25519:
		return a, nil
	}
	return "", fault.Errorf(fault.Invalid, "unknown algorithm %q; known are %s and %s", cut(name), ECDSAP256, Ed25519)
}

// AlgorithmOf returns the algorithm of pub. Everything but an *[ecdsa.PublicKey]
// on P-256 and an [ed25519.PublicKey] of the right length is Invalid.
func AlgorithmOf(pub crypto.PublicKey) (Algorithm, error) {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		if k == nil || k.Curve == nil {
			return "", fault.Errorf(fault.Invalid, "the ECDSA key is empty")
		}
		if k.Curve != elliptic.P256() {
			return "", fault.Errorf(fault.Invalid, "ECDSA key on curve %s; only P-256 is taken", k.Curve.Params().Name)
		}
		return ECDSAP256, nil
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return "", fault.Errorf(fault.Invalid, "Ed25519 key of %d bytes, not %d", len(k), ed25519.PublicKeySize)
		}
		return Ed25519, nil
	}
	return "", fault.Errorf(fault.Invalid, "key of type %T; only ECDSA on P-256 and Ed25519 are taken", pub)
}

// Fingerprint returns "sha256:" and the lower-case hex of the SHA-256 of pub's
// DER SubjectPublicKeyInfo (RFC 5280, section 4.1), the name that policies pin.
// It is the same whatever stands for the key elsewhere, unlike a TUF key ID.
func Fingerprint(pub crypto.PublicKey) (string, error) {
	der, err := marshal(pub)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(der)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// marshal returns the DER SubjectPublicKeyInfo of pub.
func marshal(pub crypto.PublicKey) ([]byte, error) {
	if _, err := AlgorithmOf(pub); err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fault.As(fault.Invalid, fmt.Errorf("encode public key: %w", err))
	}
	return der, nil
}
