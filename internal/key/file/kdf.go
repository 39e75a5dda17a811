package file

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"hash"

	"golang.org/x/crypto/scrypt"

	"plimsoll/internal/fault"
)

// Caps on what a file may make us compute before its passphrase is known.
const (
	maxScryptMemory  = 256 << 20 // bytes, 128 * N * r
	maxScryptWork    = 1 << 23   // N * r * p; ours is 655,360
	maxScryptThreads = 64        // p
	maxIterations    = 10_000_000
	maxSalt          = 1 << 10 // bytes
)

var (
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidScrypt = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
	oidSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	oidSHA512 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11}
)

// kdf turns a passphrase into a key of size bytes.
type kdf interface {
	derive(passphrase []byte, size int) ([]byte, error)
}

// parseKDF reads the parameters of a key derivation function that a file names,
// and refuses what would cost too much to try.
func parseKDF(id pkix.AlgorithmIdentifier) (kdf, error) {
	switch {
	case id.Algorithm.Equal(oidScrypt):
		return parseScrypt(id.Parameters.FullBytes)
	case id.Algorithm.Equal(oidPBKDF2):
		return parsePBKDF2(id.Parameters.FullBytes)
	}
	return nil, fault.Errorf(fault.Invalid, "the key is encrypted under the key derivation %s; only scrypt and PBKDF2 are taken", id.Algorithm)
}

// scryptParams are those of RFC 7914, section 7.1.
type scryptParams struct {
	Salt    []byte
	N, R, P int
	KeySize int `asn1:"optional"`
}

// newScrypt returns the parameters for a new key. N = 2^14, r = 8, p = 5 costs an
// attacker as much as N = 2^17, p = 1 (OWASP Password Storage Cheat Sheet), and
// its 16 MiB stay under the 32 MiB beyond which openssl refuses to open a key.
func newScrypt() scryptParams {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails: it ends the program instead
	return scryptParams{Salt: salt, N: 1 << 14, R: 8, P: 5}
}

func parseScrypt(der []byte) (kdf, error) {
	var p scryptParams
	if !only(der, &p) || p.N < 2 || p.N&(p.N-1) != 0 || p.R < 1 || p.P < 1 || len(p.Salt) > maxSalt {
		return nil, fault.Errorf(fault.Invalid, "the key's scrypt parameters are malformed")
	}
	if p.P > maxScryptThreads || p.R > maxScryptMemory/128 || p.N > maxScryptMemory/128/p.R || p.N*p.R*p.P > maxScryptWork {
		return nil, fault.Errorf(fault.Invalid, "the key asks for scrypt with N=%d, r=%d, p=%d, more than is done for a key", p.N, p.R, p.P)
	}
	return p, nil
}

func (p scryptParams) identifier() (pkix.AlgorithmIdentifier, error) {
	der, err := asn1.Marshal(p)
	if err != nil {
		return pkix.AlgorithmIdentifier{}, fmt.Errorf("encode parameters: %w", err)
	}
	return pkix.AlgorithmIdentifier{Algorithm: oidScrypt, Parameters: asn1.RawValue{FullBytes: der}}, nil
}

func (p scryptParams) derive(passphrase []byte, size int) ([]byte, error) {
	secret, err := scrypt.Key(passphrase, p.Salt, p.N, p.R, p.P, size)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "scrypt: %w", err)
	}
	return secret, nil
}

// pbkdf2Params are those of RFC 8018, appendix A.2. Ours are never written in
// this form; openssl's are by default.
type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	KeySize    int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

func parsePBKDF2(der []byte) (kdf, error) {
	var p pbkdf2Params
	if !only(der, &p) || p.Iterations < 1 || len(p.Salt) > maxSalt {
		return nil, fault.Errorf(fault.Invalid, "the key's PBKDF2 parameters are malformed")
	}
	if p.Iterations > maxIterations {
		return nil, fault.Errorf(fault.Invalid, "the key asks for %d iterations of PBKDF2; at most %d are done", p.Iterations, maxIterations)
	}
	if p.hash() == nil {
		return nil, fault.Errorf(fault.Invalid, "the key asks for PBKDF2 with a function other than HMAC-SHA-256 and HMAC-SHA-512")
	}
	return p, nil
}

func (p pbkdf2Params) hash() func() hash.Hash {
	switch {
	case p.PRF.Algorithm.Equal(oidSHA256):
		return sha256.New
	case p.PRF.Algorithm.Equal(oidSHA512):
		return sha512.New
	}
	return nil
}

func (p pbkdf2Params) derive(passphrase []byte, size int) ([]byte, error) {
	secret, err := pbkdf2.Key(p.hash(), string(passphrase), p.Salt, p.Iterations, size)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "PBKDF2: %w", err)
	}
	return secret, nil
}
