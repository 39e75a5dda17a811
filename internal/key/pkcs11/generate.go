//go:build cgo

package pkcs11

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/miekg/pkcs11"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

// Generate makes a key pair in the token that uri means, under the label that it
// gives as object and its id (a random one if it gives none). The private key is
// made so that it never leaves the token; a token that does not confirm this has
// the key deleted again and is Untrusted. It is a Conflict if a key of that
// label or ID exists.
func (p *Provider) Generate(ctx context.Context, uri string, algorithm key.Algorithm) (key.Signer, error) {
	u, err := parseURI(uri)
	if err != nil {
		return nil, err
	}
	label, ok := u.path["object"]
	if !ok {
		return nil, fault.Hint(fault.Errorf(fault.Invalid, "%q gives the new key no label", u), "add object=NAME")
	}
	o := object{label: label, id: []byte(u.path["id"])}
	if len(o.id) == 0 {
		o.id = make([]byte, 16)
		_, _ = rand.Read(o.id) // never fails: it ends the program instead
	}
	s, err := p.open(ctx, u, true)
	if err != nil {
		return nil, err
	}
	k, err := s.generate(ctx, u, o, algorithm)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return k, nil
}

func (s *session) generate(ctx context.Context, u uri, o object, algorithm key.Algorithm) (*signer, error) {
	mechanism, params, err := generation(algorithm)
	if err != nil {
		return nil, err
	}
	if err := s.login(ctx, u); err != nil {
		return nil, err
	}
	if err := s.vacant(ctx, u, o); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("generate a key in %s: %w", s.token, err)
	}
	ctx = context.WithoutCancel(ctx) // from here on there is a key: either it is whole or it is deleted
	pub, err := s.makePair(ctx, &o, mechanism, params)
	if err != nil {
		return nil, explain(err, "generate a key", s.token)
	}
	k, err := s.confirm(ctx, u, o)
	if err != nil {
		return nil, errors.Join(err, s.destroy(ctx, o.handle, pub))
	}
	return k, nil
}

func generation(algorithm key.Algorithm) (mechanism uint, params []byte, err error) {
	switch algorithm {
	case key.ECDSAP256:
		return pkcs11.CKM_EC_KEY_PAIR_GEN, paramsP256, nil
	case key.Ed25519:
		return ckmEdwardsKeyGen, paramsEd25519, nil
	}
	return 0, nil, fault.Errorf(fault.Invalid, "unknown algorithm %q", algorithm)
}

// vacant is a Conflict if a key has o's label or its ID.
func (s *session) vacant(ctx context.Context, u uri, o object) error {
	var taken []object
	err := s.call(ctx, func() error {
		for _, class := range []uint{pkcs11.CKO_PRIVATE_KEY, pkcs11.CKO_PUBLIC_KEY} {
			for name, value := range map[string]string{"object": o.label, "id": string(o.id)} {
				found, err := s.find(class, uri{path: map[string]string{name: value}})
				if err != nil {
					return err
				}
				taken = append(taken, found...)
			}
		}
		return nil
	})
	if err != nil {
		return explain(err, "look for keys", s.token)
	}
	if len(taken) > 0 {
		err := fault.Errorf(fault.Conflict, "%s already holds a key of that label or ID: %s", s.token, s.token.uri(taken[0], u))
		return fault.Hint(err, "choose another object=")
	}
	return nil
}

// makePair generates the pair, sets o's handle to the private key and returns
// the public key's.
func (s *session) makePair(ctx context.Context, o *object, mechanism uint, params []byte) (pub pkcs11.ObjectHandle, err error) {
	public := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, false),
		pkcs11.NewAttribute(pkcs11.CKA_VERIFY, true),
		pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, params),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, o.label),
		pkcs11.NewAttribute(pkcs11.CKA_ID, o.id),
	}
	private := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_SIGN, true),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, o.label),
		pkcs11.NewAttribute(pkcs11.CKA_ID, o.id),
	}
	err = s.call(ctx, func() (err error) {
		pub, o.handle, err = s.ctx().GenerateKeyPair(s.handle, []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)}, public, private)
		return err
	})
	return pub, err
}

// confirm reads back whether the key was made in the token and cannot leave it.
func (s *session) confirm(ctx context.Context, u uri, o object) (*signer, error) {
	wanted := []struct {
		name string
		kind uint
		want bool
	}{
		{"CKA_TOKEN", pkcs11.CKA_TOKEN, true},
		{"CKA_PRIVATE", pkcs11.CKA_PRIVATE, true},
		{"CKA_LOCAL", pkcs11.CKA_LOCAL, true},
		{"CKA_SENSITIVE", pkcs11.CKA_SENSITIVE, true},
		{"CKA_ALWAYS_SENSITIVE", pkcs11.CKA_ALWAYS_SENSITIVE, true},
		{"CKA_EXTRACTABLE", pkcs11.CKA_EXTRACTABLE, false},
		{"CKA_NEVER_EXTRACTABLE", pkcs11.CKA_NEVER_EXTRACTABLE, true},
	}
	err := s.call(ctx, func() error {
		for _, w := range wanted {
			if !s.is(o.handle, w.kind, w.want) {
				return fault.Errorf(fault.Untrusted, "%s does not confirm that the new key was made in it and cannot leave it: %s is not %t", s.token, w.name, w.want)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return newSigner(ctx, s, u, o)
}

func (s *session) destroy(ctx context.Context, handles ...pkcs11.ObjectHandle) error {
	err := s.call(ctx, func() error {
		var errs []error
		for _, h := range handles {
			errs = append(errs, s.ctx().DestroyObject(s.handle, h))
		}
		return errors.Join(errs...)
	})
	return explain(err, "delete the new key again", s.token)
}
