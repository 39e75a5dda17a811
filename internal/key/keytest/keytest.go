// Package keytest makes signing keys in memory, for tests.
package keytest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"plimsoll/internal/key"
)

// Signer is a key in memory that counts what it signed.
type Signer struct {
	crypto.Signer
	Signed int
}

var _ key.Signer = (*Signer)(nil)

// New returns a new key.
func New(t testing.TB, a key.Algorithm) *Signer {
	t.Helper()
	var s crypto.Signer
	var err error
	if a == key.Ed25519 {
		_, s, err = ed25519.GenerateKey(rand.Reader)
	} else {
		s, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &Signer{Signer: s}
}

// Sign implements [key.Signer].
func (s *Signer) Sign(_ context.Context, message []byte) ([]byte, error) {
	s.Signed++
	if _, ok := s.Signer.(ed25519.PrivateKey); ok {
		return s.Signer.Sign(rand.Reader, message, crypto.Hash(0))
	}
	sum := sha256.Sum256(message)
	return s.Signer.Sign(rand.Reader, sum[:], crypto.SHA256)
}

// Close implements [key.Signer].
func (s *Signer) Close() error { return nil }
