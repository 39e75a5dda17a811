package key

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"

	"plimsoll/internal/fault"
)

// Verify checks sig over message as [Signer.Sign] writes it: for P-256 an ASN.1
// DER ECDSA-Sig-Value (RFC 3279, section 2.2.3) over the message's SHA-256, for
// Ed25519 the 64 bytes of RFC 8032 over the message itself. A signature that
// does not fit is Untrusted, a key of another type or curve Invalid.
func Verify(pub crypto.PublicKey, message, sig []byte) error {
	if _, err := AlgorithmOf(pub); err != nil {
		return err
	}
	ok := false
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(message)
		ok = ecdsa.VerifyASN1(k, sum[:], sig)
	case ed25519.PublicKey:
		ok = ed25519.Verify(k, message, sig)
	}
	if !ok {
		return fault.Errorf(fault.Untrusted, "the signature does not fit the message and the key")
	}
	return nil
}
