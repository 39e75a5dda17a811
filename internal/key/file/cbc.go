package file

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"

	"plimsoll/internal/fault"
)

const (
	keyAES256     = 32      // bytes
	maxCiphertext = 4 << 10 // bytes; a P-256 key has 144
)

// The OIDs of AES in CBC mode with a key of 16, 24 and 32 bytes (RFC 3565,
// section 4.1).
var (
	oidAES128 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}
	oidAES192 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}
	oidAES256 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
)

// cbc is a ciphertext in AES-CBC with the padding of RFC 8018, section 6.1.1.
type cbc struct {
	keySize        int // bytes
	iv, ciphertext []byte
}

// parseCBC checks what came from a file, so that open cannot trip over it.
func parseCBC(id pkix.AlgorithmIdentifier, ciphertext []byte) (cbc, error) {
	c := cbc{ciphertext: ciphertext}
	switch {
	case id.Algorithm.Equal(oidAES128):
		c.keySize = 16
	case id.Algorithm.Equal(oidAES192):
		c.keySize = 24
	case id.Algorithm.Equal(oidAES256):
		c.keySize = keyAES256
	default:
		return cbc{}, fault.Errorf(fault.Invalid, "the key is encrypted with cipher %s; only AES-CBC is taken", id.Algorithm)
	}
	if !only(id.Parameters.FullBytes, &c.iv) || len(c.iv) != aes.BlockSize {
		return cbc{}, fault.Errorf(fault.Invalid, "the key's AES-CBC parameters are malformed")
	}
	if n := len(ciphertext); n == 0 || n > maxCiphertext || n%aes.BlockSize != 0 {
		return cbc{}, fault.Errorf(fault.Invalid, "encrypted key of %d bytes", n)
	}
	return c, nil
}

// open returns the plaintext; Unavailable if the padding is wrong.
func (c cbc) open(secret []byte) ([]byte, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, fmt.Errorf("decrypt: %w", err)
	}
	plain := make([]byte, len(c.ciphertext))
	cipher.NewCBCDecrypter(block, c.iv).CryptBlocks(plain, c.ciphertext)
	pad := int(plain[len(plain)-1])
	if pad == 0 || pad > aes.BlockSize {
		return nil, errWrong()
	}
	for _, b := range plain[len(plain)-pad:] {
		if int(b) != pad {
			return nil, errWrong()
		}
	}
	return plain[:len(plain)-pad], nil
}

// sealCBC encrypts plain under a secret of keyAES256 bytes and a fresh IV.
func sealCBC(secret, plain []byte) (pkix.AlgorithmIdentifier, []byte, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return pkix.AlgorithmIdentifier{}, nil, fmt.Errorf("encrypt: %w", err)
	}
	iv := make([]byte, aes.BlockSize)
	_, _ = rand.Read(iv) // never fails: it ends the program instead
	params, err := asn1.Marshal(iv)
	if err != nil {
		return pkix.AlgorithmIdentifier{}, nil, fmt.Errorf("encode parameters: %w", err)
	}
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	out := make([]byte, len(plain)+pad)
	for i := copy(out, plain); i < len(out); i++ {
		out[i] = byte(pad) // #nosec G115 -- 1 to 16
	}
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, out)
	return pkix.AlgorithmIdentifier{Algorithm: oidAES256, Parameters: asn1.RawValue{FullBytes: params}}, out, nil
}
