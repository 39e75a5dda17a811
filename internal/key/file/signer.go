package file

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

type signer struct {
	private crypto.Signer // nil once closed
	path    string
}

var (
	_ key.Signer    = (*signer)(nil)
	_ key.Described = (*signer)(nil)
)

func (s *signer) Public() crypto.PublicKey {
	if s.private == nil {
		return nil
	}
	return s.private.Public()
}

func (s *signer) Sign(ctx context.Context, message []byte) ([]byte, error) {
	if s.private == nil {
		return nil, fault.Errorf(fault.Internal, "sign with %q: the key is closed", s.path)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("sign with %q: %w", s.path, err)
	}
	var sig []byte
	var err error
	if _, ok := s.private.(ed25519.PrivateKey); ok {
		sig, err = s.private.Sign(rand.Reader, message, crypto.Hash(0))
	} else {
		sum := sha256.Sum256(message)
		sig, err = s.private.Sign(rand.Reader, sum[:], crypto.SHA256)
	}
	if err != nil {
		return nil, fmt.Errorf("sign with %q: %w", s.path, err)
	}
	return sig, nil
}

// Info describes the key.
func (s *signer) Info() key.Info {
	info := key.Info{URI: Scheme + ":" + s.path, Where: Scheme, Extractable: new(true)}
	if pub := s.Public(); pub != nil {
		info.Algorithm, _ = key.AlgorithmOf(pub) // was checked when the key was opened
		info.Fingerprint, _ = key.Fingerprint(pub)
	}
	return info
}

// Close forgets the key.
func (s *signer) Close() error {
	if k, ok := s.private.(ed25519.PrivateKey); ok {
		clear(k)
	}
	s.private = nil
	return nil
}
