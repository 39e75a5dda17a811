package trust

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

// The key types and schemes that are read (TUF 1.0.34, 4.2). RSA is verified
// only: no key of ours is one.
const (
	typeECDSA      = "ecdsa"
	typeECDSALong  = "ecdsa-sha2-nistp256" // as older writers call it
	schemeECDSA    = "ecdsa-sha2-nistp256"
	typeEd25519    = "ed25519"
	schemeEd25519  = "ed25519"
	typeRSA        = "rsa"
	schemeRSAPSS   = "rsassa-pss-sha256"
	schemeRSAPKCS1 = "rsa-pkcs1v15-sha256"
)

// Bits of an RSA modulus. Below is forbidden (4.2); above only costs time.
const (
	minRSA = 2048
	maxRSA = 8192
)

// parse sets Public and Fingerprint if text is a key of k's type, and that goes
// with its scheme.
func (k *Key) parse(text string) {
	var pub crypto.PublicKey
	var err error
	switch {
	case (k.Type == typeECDSA || k.Type == typeECDSALong) && k.Scheme == schemeECDSA:
		pub, err = parseP256(text)
	case k.Type == typeEd25519 && k.Scheme == schemeEd25519:
		pub, err = parseEd25519(text)
	case k.Type == typeRSA && (k.Scheme == schemeRSAPSS || k.Scheme == schemeRSAPKCS1):
		pub, k.Fingerprint, err = parseRSA(text)
	default:
		return
	}
	if err == nil && k.Fingerprint == "" {
		k.Fingerprint, err = key.Fingerprint(pub)
	}
	if err == nil {
		k.Public = pub
	}
}

func parseP256(text string) (crypto.PublicKey, error) {
	pub, err := key.ParsePublic([]byte(text))
	if err != nil {
		return nil, err
	}
	if _, ok := pub.(*ecdsa.PublicKey); !ok {
		return nil, fault.Errorf(fault.Invalid, "not a key on P-256")
	}
	return pub, nil
}

func parseEd25519(text string) (crypto.PublicKey, error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return nil, fault.Errorf(fault.Invalid, "not an Ed25519 key in hex")
	}
	return ed25519.PublicKey(raw), nil
}

// parseRSA reads one PEM block "PUBLIC KEY" in DER, and returns the fingerprint
// too: [key.Fingerprint] knows only keys that sign here.
func parseRSA(text string) (crypto.PublicKey, string, error) {
	const maxText = 4 << 10
	bad := fault.Errorf(fault.Invalid, "not an RSA key of %d to %d bits in PEM", minRSA, maxRSA)
	if len(text) > maxText {
		return nil, "", bad
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "PUBLIC KEY" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, "", bad
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	pub, ok := parsed.(*rsa.PublicKey)
	if err != nil || !ok || pub.N.BitLen() < minRSA || pub.N.BitLen() > maxRSA {
		return nil, "", bad
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil || !bytes.Equal(der, block.Bytes) {
		return nil, "", bad
	}
	sum := sha256.Sum256(der)
	return pub, "sha256:" + hex.EncodeToString(sum[:]), nil
}

// verify reports whether sig is k's signature over message.
func (k *Key) verify(message, sig []byte) bool {
	pub, ok := k.Public.(*rsa.PublicKey)
	if !ok {
		return k.Public != nil && key.Verify(k.Public, message, sig) == nil
	}
	sum := sha256.Sum256(message)
	if k.Scheme == schemeRSAPSS {
		// Writers differ in the length of the salt, which is no secret.
		return rsa.VerifyPSS(pub, crypto.SHA256, sum[:], sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto}) == nil
	}
	return rsa.VerifyPKCS1v15(pub, crypto.SHA256, sum[:], sig) == nil
}
