//go:build cgo

package pkcs11

import (
	"context"
	"crypto"
	"crypto/sha256"
	"fmt"

	"github.com/miekg/pkcs11"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

// signer signs with one private key in a token.
type signer struct {
	session   *session // nil once closed
	uri       uri
	object    object // the private key
	public    crypto.PublicKey
	algorithm key.Algorithm
	always    bool // a PIN for every signature (CKA_ALWAYS_AUTHENTICATE)
	info      key.Info
}

var (
	_ key.Signer    = (*signer)(nil)
	_ key.Described = (*signer)(nil)
)

// newSigner reads what is needed of a private key; session must be logged in.
// The session becomes the signer's.
func newSigner(ctx context.Context, s *session, u uri, o object) (*signer, error) {
	k := &signer{session: s, uri: u, object: o}
	var extractable *bool
	err := s.call(ctx, func() (err error) {
		k.public, err = s.public(o)
		k.always = s.is(o.handle, pkcs11.CKA_ALWAYS_AUTHENTICATE, true)
		extractable = s.extractable(o.handle)
		return err
	})
	if err != nil {
		if code(err) == pkcs11.CKR_OK {
			return nil, fmt.Errorf("open key %q: it has %w", s.token.uri(o, u), err)
		}
		return nil, explain(err, "open key", s.token)
	}
	if k.info, err = s.token.describe(k.public, o, u); err != nil {
		return nil, err
	}
	k.info.Extractable = extractable
	k.algorithm = k.info.Algorithm
	return k, nil
}

// describe returns what is known of a key without a PIN.
func (t token) describe(pub crypto.PublicKey, o object, u uri) (key.Info, error) {
	info := key.Info{URI: t.uri(o, u), Where: t.where()}
	var err error
	if info.Algorithm, err = key.AlgorithmOf(pub); err != nil {
		return key.Info{}, err
	}
	info.Fingerprint, err = key.Fingerprint(pub)
	return info, err
}

func (k *signer) Public() crypto.PublicKey { return k.public }

// Info describes the key.
func (k *signer) Info() key.Info { return k.info }

// Sign signs in the token and checks what comes back: a public key that lies
// beside the wrong private one would otherwise go unseen.
func (k *signer) Sign(ctx context.Context, message []byte) ([]byte, error) {
	if k.session == nil {
		return nil, fault.Errorf(fault.Internal, "sign with %q: the key is closed", k.info.URI)
	}
	mechanism, input := uint(ckmEdDSA), message
	if k.algorithm == key.ECDSAP256 {
		sum := sha256.Sum256(message)
		mechanism, input = pkcs11.CKM_ECDSA, sum[:]
	}
	sig, err := k.raw(ctx, mechanism, input)
	if err != nil {
		return nil, err
	}
	if k.algorithm == key.ECDSAP256 {
		if sig, err = derSignature(sig); err != nil {
			return nil, fmt.Errorf("sign with %q: %s gave %w", k.info.URI, k.session.token, err)
		}
	}
	if err := key.Verify(k.public, message, sig); err != nil {
		return nil, fault.Errorf(fault.Unavailable, "sign with %q: %s gave a signature that its public key does not verify", k.info.URI, k.session.token)
	}
	return sig, nil
}

// raw runs one signing operation. A PIN that the key wants for each is got
// before, so that the operation is not left open while a person types.
func (k *signer) raw(ctx context.Context, mechanism uint, input []byte) (sig []byte, err error) {
	s := k.session
	pin := ""
	if k.always {
		if err := s.ready(ctx); err != nil {
			return nil, err
		}
		if pin, err = s.pin(ctx, k.uri, "PIN of "+s.token.String()+", which this key wants for every signature"); err != nil {
			return nil, err
		}
	}
	err = s.call(ctx, func() error {
		return s.ctx().SignInit(s.handle, []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)}, k.object.handle)
	})
	if err != nil {
		return nil, explain(err, "sign", s.token)
	}
	if k.always {
		if err := s.try(ctx, pkcs11.CKU_CONTEXT_SPECIFIC, pin); err != nil {
			return nil, err
		}
	}
	err = s.call(ctx, func() (err error) {
		sig, err = s.ctx().Sign(s.handle, input)
		return err
	})
	if err != nil { // a call that was cancelled may still write to sig
		return nil, explain(err, "sign", s.token)
	}
	return sig, nil
}

// Close ends the session with the token; the last one logs out.
func (k *signer) Close() error {
	if k.session == nil {
		return nil
	}
	s := k.session
	k.session = nil
	return s.close()
}

// openKey returns the signer for the one private key that u means.
func openKey(ctx context.Context, s *session, u uri) (*signer, error) {
	var keys []object
	err := s.call(ctx, func() (err error) {
		keys, err = s.find(pkcs11.CKO_PRIVATE_KEY, u)
		return err
	})
	if err != nil {
		return nil, explain(err, "look for the key", s.token)
	}
	switch len(keys) {
	case 1:
		return newSigner(ctx, s, u, keys[0])
	case 0:
		return nil, noKey(ctx, s, u)
	}
	err = fault.Errorf(fault.Invalid, "%d keys match %q: %s", len(keys), u, s.token.uris(keys, u))
	return nil, fault.Hint(err, "name one of them, with its id")
}

func noKey(ctx context.Context, s *session, u uri) error {
	var all []object
	err := s.call(ctx, func() (err error) {
		all, err = s.find(pkcs11.CKO_PRIVATE_KEY, uri{})
		return err
	})
	if err != nil {
		return explain(err, "look for the key", s.token)
	}
	seen := "it holds none"
	if len(all) > 0 {
		seen = "it holds " + s.token.uris(all, u)
	}
	err = fault.Errorf(fault.NotFound, "no private key in %s matches %q: %s", s.token, u, seen)
	return fault.Hint(err, "plimsoll key generate '%s'", u)
}
