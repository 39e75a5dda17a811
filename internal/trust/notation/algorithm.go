package notation

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha256" // of the algorithms below
	_ "crypto/sha512"
	"encoding/base64"
	"math/big"

	"plimsoll/internal/fault"
)

// algorithms are the Notary Project's: one for each kind and length of key, so
// that an envelope cannot choose a weaker one (signature-specification.md,
// "Algorithm Selection").
var algorithms = map[string]struct {
	hash crypto.Hash
	rsa  bool
	bits int // of the RSA modulus, or of the curve
}{
	"PS256": {crypto.SHA256, true, 2048},
	"PS384": {crypto.SHA384, true, 3072},
	"PS512": {crypto.SHA512, true, 4096},
	"ES256": {crypto.SHA256, false, 256},
	"ES384": {crypto.SHA384, false, 384},
	"ES512": {crypto.SHA512, false, 521},
}

// checkSignature verifies the signature of e (RFC 7515, section 5.2).
func checkSignature(pub crypto.PublicKey, algorithm string, e *envelope) error {
	sig, err := base64.RawURLEncoding.Strict().DecodeString(e.Signature)
	if err != nil {
		return fault.Errorf(fault.Untrusted, "notation envelope: signature: %w", err)
	}
	a, ok := algorithms[algorithm]
	if !ok {
		return fault.Errorf(fault.Untrusted, "the signature says that it is %q, which is none of the Notary Project's", cut(algorithm))
	}
	h := a.hash.New()
	h.Write([]byte(e.Protected + "." + e.Payload))
	good := false
	switch k := pub.(type) {
	case *rsa.PublicKey:
		good = a.rsa && k.N.BitLen() == a.bits &&
			rsa.VerifyPSS(k, a.hash, h.Sum(nil), sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
	case *ecdsa.PublicKey:
		good = !a.rsa && k.Curve.Params().BitSize == a.bits && verifyRaw(k, h.Sum(nil), sig)
	}
	if !good {
		return fault.Errorf(fault.Untrusted, "the signature does not fit what was signed")
	}
	return nil
}

// verifyRaw checks a signature whose r and s have the length of the curve's
// order each (RFC 7518, section 3.4).
func verifyRaw(k *ecdsa.PublicKey, hash, sig []byte) bool {
	n := (k.Curve.Params().BitSize + 7) / 8
	if len(sig) != 2*n {
		return false
	}
	return ecdsa.Verify(k, hash, new(big.Int).SetBytes(sig[:n]), new(big.Int).SetBytes(sig[n:]))
}
