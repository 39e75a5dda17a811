// Package key opens signing keys by URI: file: for an encrypted file, pkcs11:
// (RFC 7512) for a key that lives in a token, piv: for one in a PIV token such as
// a YubiKey.
//
// A key in a token never leaves it: what this package hands out is a [Signer],
// not the key. What a token says about a key for others to believe is its
// attestation ([VerifyAttestation]).
package key

import (
	"context"
	"crypto"
)

// Algorithm names a kind of key.
type Algorithm string

// The algorithms. ECDSAP256 is the default: every reader of signatures takes it.
const (
	ECDSAP256 Algorithm = "ecdsa-p256"
	Ed25519   Algorithm = "ed25519"
)

// Signer signs with one key. It may be used by one goroutine at a time. Whoever
// opened it closes it.
type Signer interface {
	// Public returns an *ecdsa.PublicKey on P-256 or an ed25519.PublicKey.
	Public() crypto.PublicKey
	// Sign signs message, which is not yet hashed: ECDSA over its SHA-256 in
	// ASN.1 DER, or Ed25519 in 64 raw bytes.
	Sign(ctx context.Context, message []byte) ([]byte, error)
	Close() error
}

// Provider opens, makes and lists the keys of one URI scheme.
type Provider interface {
	// Open returns the signer that uri names; NotFound if there is none,
	// Unavailable if the token, its PIN or the passphrase is missing or wrong.
	Open(ctx context.Context, uri string) (Signer, error)
	// Generate makes a new key, in the token where there is one; Conflict if
	// uri already names a key.
	Generate(ctx context.Context, uri string, algorithm Algorithm) (Signer, error)
	// List returns the keys that can be seen below uri.
	List(ctx context.Context, uri string) ([]Info, error)
}

// PolicyProvider is what a [Provider] may also be: one whose keys have policies.
type PolicyProvider interface {
	// GenerateWith is Generate for a key with policies; Invalid if the token does
	// not know one of them.
	GenerateWith(ctx context.Context, uri string, algorithm Algorithm, policies Policies) (Signer, error)
}

// Info describes a key without opening it.
type Info struct {
	URI         string    `json:"uri"` // opens the key again
	Algorithm   Algorithm `json:"algorithm"`
	Fingerprint string    `json:"fingerprint"` // see [Fingerprint]
	Where       string    `json:"where"`       // "file", or token label and serial
	Extractable *bool     `json:"extractable"` // the private key can be read out; nil if the token tells only after a PIN
}

// Described is what a [Signer] may also be: one that can say where its key
// lives. The signers of this module's providers are.
type Described interface {
	Info() Info
}

// Prompter asks a person for a secret.
type Prompter interface {
	// Secret returns what was typed for prompt, without an echo. The caller
	// owns the bytes. Unavailable if nobody can be asked.
	Secret(ctx context.Context, prompt string) ([]byte, error)
}

// Notifier is what a [Prompter] may also be: one that can tell a person that
// something waits for them, such as a token for a touch.
type Notifier interface {
	Notify(message string)
}
