package key

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"

	"plimsoll/internal/fault"
)

const (
	pemPublic = "PUBLIC KEY"
	// maxPublic bounds the PEM text of a public key, in bytes; a P-256 key has 178.
	maxPublic = 4 << 10
)

// MarshalPublic returns pub as a PEM block "PUBLIC KEY" (RFC 7468, section 13).
func MarshalPublic(pub crypto.PublicKey) ([]byte, error) {
	der, err := marshal(pub)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemPublic, Bytes: der}), nil
}

// ParsePublic reads the one PEM block "PUBLIC KEY" that text holds. Anything
// else in it but white space, a header, an encoding that is not DER, or a key
// that is neither P-256 nor Ed25519 is Invalid.
func ParsePublic(text []byte) (crypto.PublicKey, error) {
	if len(text) > maxPublic {
		return nil, fault.Errorf(fault.Invalid, "public key of %d bytes, at most %d are taken", len(text), maxPublic)
	}
	text = bytes.TrimSpace(text)
	block, rest := pem.Decode(text)
	switch {
	case block == nil || !bytes.HasPrefix(text, []byte("-----BEGIN ")):
		return nil, fault.Errorf(fault.Invalid, "not a public key: no PEM block at its start")
	case block.Type != pemPublic:
		err := fault.Errorf(fault.Invalid, "PEM block %q where %q is expected", cut(block.Type), pemPublic)
		return nil, fault.Hint(err, "openssl pkey -pubout (from a private key) or openssl x509 -pubkey -noout (from a certificate) writes one")
	case len(block.Headers) > 0:
		return nil, fault.Errorf(fault.Invalid, "the public key has PEM headers")
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, fault.Errorf(fault.Invalid, "something follows the public key")
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "parse public key: %w", err)
	}
	der, err := marshal(pub)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(der, block.Bytes) {
		return nil, fault.Errorf(fault.Invalid, "the public key is not encoded in DER as RFC 5480 and RFC 8410 say")
	}
	return pub, nil
}
