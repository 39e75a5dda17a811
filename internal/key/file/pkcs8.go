package file

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

const hintEncrypt = "openssl pkcs8 -topk8 -v2 aes-256-cbc -scrypt -scrypt_N 16384 -scrypt_r 8 -scrypt_p 5 -in OLD -out NEW && chmod 600 NEW"

// encryptedKey is EncryptedPrivateKeyInfo (RFC 5958, section 3) with the
// parameters of PBES2 (RFC 8018, appendix A.4).
type encryptedKey struct {
	Algorithm struct {
		OID    asn1.ObjectIdentifier
		Params struct{ KDF, Cipher pkix.AlgorithmIdentifier }
	}
	Ciphertext []byte
}

var oidPBES2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}

func generate(algorithm key.Algorithm) (crypto.Signer, error) {
	switch algorithm {
	case key.ECDSAP256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case key.Ed25519:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, fault.Errorf(fault.Invalid, "unknown algorithm %q", algorithm)
}

// encrypt returns the DER EncryptedPrivateKeyInfo of private.
func encrypt(private crypto.Signer, passphrase []byte) ([]byte, error) {
	plain, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("encode private key: %w", err)
	}
	defer clear(plain)
	var k encryptedKey
	k.Algorithm.OID = oidPBES2
	params := newScrypt()
	k.Algorithm.Params.KDF, err = params.identifier()
	if err != nil {
		return nil, err
	}
	secret, err := params.derive(passphrase, keyAES256)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	k.Algorithm.Params.Cipher, k.Ciphertext, err = sealCBC(secret, plain)
	if err != nil {
		return nil, err
	}
	der, err := asn1.Marshal(k)
	if err != nil {
		return nil, fmt.Errorf("encode encrypted key: %w", err)
	}
	return der, nil
}

// decrypt opens a DER EncryptedPrivateKeyInfo. A passphrase that does not fit is
// Unavailable, everything else that is wrong Invalid.
func decrypt(der, passphrase []byte) (crypto.Signer, error) {
	var k encryptedKey
	if !only(der, &k) || !k.Algorithm.OID.Equal(oidPBES2) {
		return nil, fault.Hint(fault.Errorf(fault.Invalid, "not a PKCS#8 key encrypted with PBES2"), hintEncrypt)
	}
	cipher, err := parseCBC(k.Algorithm.Params.Cipher, k.Ciphertext)
	if err != nil {
		return nil, fault.Hint(err, hintEncrypt)
	}
	derivation, err := parseKDF(k.Algorithm.Params.KDF)
	if err != nil {
		return nil, fault.Hint(err, hintEncrypt)
	}
	secret, err := derivation.derive(passphrase, cipher.keySize)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	plain, err := cipher.open(secret)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	return parsePrivate(plain)
}

func parsePrivate(plain []byte) (crypto.Signer, error) {
	var whole asn1.RawValue
	if !only(plain, &whole) { // the padding fits one wrong passphrase in 256
		return nil, errWrong()
	}
	private, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, errWrong()
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return nil, fault.Errorf(fault.Invalid, "a key of type %T does not sign", private)
	}
	if _, err := key.AlgorithmOf(signer.Public()); err != nil {
		return nil, err
	}
	return signer, nil
}

func errWrong() error {
	return fault.Errorf(fault.Unavailable, "the passphrase is wrong, or the file is damaged")
}

// only reports whether der holds one value that fits v, and nothing after it.
func only(der []byte, v any) bool {
	rest, err := asn1.Unmarshal(der, v)
	return err == nil && len(rest) == 0
}
