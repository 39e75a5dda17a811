//go:build cgo

package pkcs11

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/asn1"
	"math/big"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

const scalar = 32 // bytes of r and of s, and of a coordinate, on P-256

// The CKA_EC_PARAMS of the curves (PKCS#11 3.0, section 2.3): an OID, or for
// Ed25519 also the curve's name, which older tokens want.
var (
	paramsP256        = []byte{0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}
	paramsEd25519     = []byte{0x06, 0x03, 0x2b, 0x65, 0x70}
	paramsEd25519Name = append([]byte{0x13, 0x0c}, "edwards25519"...)
)

// curveOf returns the algorithm that keys on the curve params are for.
func curveOf(params []byte) (key.Algorithm, error) {
	switch {
	case bytes.Equal(params, paramsP256):
		return key.ECDSAP256, nil
	case bytes.Equal(params, paramsEd25519), bytes.Equal(params, paramsEd25519Name):
		return key.Ed25519, nil
	}
	return "", fault.Errorf(fault.Invalid, "a curve other than P-256 and Ed25519 (CKA_EC_PARAMS %x)", cut(params))
}

// parsePoint reads a CKA_EC_POINT: a DER OCTET STRING, or what is in it.
func parsePoint(params, point []byte) (crypto.PublicKey, error) {
	algorithm, err := curveOf(params)
	if err != nil {
		return nil, err
	}
	size := ed25519.PublicKeySize
	if algorithm == key.ECDSAP256 {
		size = 1 + 2*scalar
	}
	if len(point) != size {
		var inner []byte
		if rest, err := asn1.Unmarshal(point, &inner); err != nil || len(rest) > 0 || len(inner) != size {
			return nil, fault.Errorf(fault.Invalid, "a public key that is malformed (CKA_EC_POINT %x)", cut(point))
		}
		point = inner
	}
	if algorithm == key.Ed25519 {
		return ed25519.PublicKey(bytes.Clone(point)), nil
	}
	pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "a public key that is malformed: %w", err)
	}
	return pub, nil
}

// derSignature turns r and s, left-padded to the same length, into an ASN.1 DER
// ECDSA-Sig-Value.
func derSignature(raw []byte) ([]byte, error) {
	if len(raw) != 2*scalar {
		return nil, fault.Errorf(fault.Unavailable, "a signature of %d bytes, not %d", len(raw), 2*scalar)
	}
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:scalar]), new(big.Int).SetBytes(raw[scalar:])})
}

// cut shortens bytes from a token for a message.
func cut(b []byte) []byte { return b[:min(len(b), 32)] }
