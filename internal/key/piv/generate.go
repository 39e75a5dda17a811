package piv

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

// Generate is GenerateWith for the policies that suit keys which are used rarely:
// a PIN once, and a touch for every signature.
func (p *Provider) Generate(ctx context.Context, uri string, algorithm key.Algorithm) (key.Signer, error) {
	return p.GenerateWith(ctx, uri, algorithm, key.Policies{})
}

// GenerateWith makes a key in the slot that uri names; policies that are "" are
// PIN once and touch always. It is a Conflict if there is a key in it. A token
// that does not attest what it made is Untrusted.
func (p *Provider) GenerateWith(ctx context.Context, uri string, algorithm key.Algorithm, policies key.Policies) (key.Signer, error) {
	u, err := parseSlotURI(uri)
	if err != nil {
		return nil, err
	}
	policies.PIN, policies.Touch = cmp.Or(policies.PIN, key.PolicyOnce), cmp.Or(policies.Touch, key.PolicyAlways)
	request, err := request(algorithm, policies)
	if err != nil {
		return nil, err
	}
	t, err := p.choose(ctx, u)
	if err != nil {
		return nil, err
	}
	k, err := t.generate(ctx, u.slot, algorithm, policies, request)
	if err != nil {
		return nil, errors.Join(err, t.release(ctx))
	}
	return newSigner(t, k)
}

// request returns the template of GENERATE ASYMMETRIC KEY PAIR with Yubico's
// policies.
func request(algorithm key.Algorithm, policies key.Policies) ([]byte, error) {
	const tagRequest, tagAlgorithm, tagPIN, tagTouch = 0xac, 0x80, 0xaa, 0xab
	if _, err := key.ParsePolicies(string(policies.PIN), string(policies.Touch)); err != nil {
		return nil, err
	}
	pin, touch := slices.Index(pinPolicies, policies.PIN), slices.Index(touchPolicies, policies.Touch)
	number := byte(algorithmP256)
	if algorithm == key.Ed25519 {
		number = algorithmEd25519
	}
	b := appendField(nil, tagAlgorithm, number)
	b = appendField(appendField(b, tagPIN, byte(pin)), tagTouch, byte(touch)) // #nosec G115 -- indices of short tables
	return appendField(nil, tagRequest, b...), nil
}

// generate asks for what is needed, and makes the key in one transaction.
func (t *token) generate(ctx context.Context, s slot, algorithm key.Algorithm, policies key.Policies, request []byte) (*slotKey, error) {
	if err := t.capable(algorithm); err != nil {
		return nil, err
	}
	var m managerKey
	factory := false
	err := t.do(ctx, "generate a key", func() (err error) {
		if err := t.vacant(ctx, s); err != nil {
			return err
		}
		factory = t.factoryPIN(ctx)
		m, err = t.management(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	if factory {
		t.provider.notify(fmt.Sprintf("the PIN of %s is still the factory's, which everybody knows; change it: ykman piv access change-pin", t))
	}
	var pin, secret []byte
	if m.protected && t.provider.config.ManagementKey == "" {
		pin, err = t.needPIN(ctx, false)
	} else {
		secret, err = t.managementKey(ctx, m)
	}
	if err != nil {
		return nil, err
	}
	defer clear(pin)
	defer clear(secret)
	var k *slotKey
	err = t.do(ctx, "generate a key", func() (err error) {
		if err := t.unlock(ctx, m, pin, secret); err != nil {
			return err
		}
		if err := t.vacant(ctx, s); err != nil {
			return err
		}
		k, err = t.make(context.WithoutCancel(ctx), s, policies, request) // from here on there is a key
		return err
	})
	return k, err
}

// factoryPIN reports whether the token says that nobody ever changed its PIN.
func (t *token) factoryPIN(ctx context.Context) bool {
	if !t.version.describesKeys() {
		return false
	}
	b, err := t.link.send(ctx, command{ins: insMetadata, p2: referencePIN})
	if err != nil {
		return false
	}
	factory, err := find(b, metaFactory)
	return err == nil && bytes.Equal(factory, []byte{1})
}

// capable refuses what the token's firmware cannot do.
func (t *token) capable(algorithm key.Algorithm) error {
	if algorithm == key.Ed25519 && !t.version.since(5, 7) {
		err := fault.Errorf(fault.Unavailable, "%s has firmware %s, and Ed25519 begins with 5.7", t, t.version)
		return fault.Hint(err, "every token knows --algorithm ecdsa-p256")
	}
	if !t.version.since(4, 3) {
		return fault.Errorf(fault.Unavailable, "%s has firmware %s, which cannot attest keys; that begins with 4.3", t, t.version)
	}
	return nil
}

// vacant is a Conflict if there is a key in s, as far as the token tells: one
// with firmware before 5.3 does not tell of a key that it was given without a
// certificate.
func (t *token) vacant(ctx context.Context, s slot) error {
	k, err := t.key(ctx, s)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil
	case err != nil && !fault.Is(err, fault.Invalid):
		return err
	}
	holds := "a key"
	if err == nil {
		if fingerprint, err := key.Fingerprint(k.public); err == nil {
			holds = "the key " + fingerprint
		}
	}
	err = fault.Errorf(fault.Conflict, "slot %s already holds %s, which is not overwritten", s, holds)
	return fault.Hint(err, "choose another slot (9a, 9c, 9d, 9e, 82 to 95), or delete the key first: ykman piv keys delete %s", s)
}

// unlock opens the token for making keys.
func (t *token) unlock(ctx context.Context, m managerKey, pin, secret []byte) (err error) {
	if pin != nil {
		if err := t.verify(ctx, pin); err != nil {
			return err
		}
		if secret, err = t.protectedKey(ctx); err != nil {
			return err
		}
		defer clear(secret)
	}
	return t.manage(ctx, m, secret)
}

// make has the token make the key and prove it.
func (t *token) make(ctx context.Context, s slot, policies key.Policies, request []byte) (*slotKey, error) {
	const tagPublic = 0x7f49
	reply, err := t.link.send(ctx, command{ins: insGenerate, p2: byte(s), data: request})
	if err != nil {
		return nil, err
	}
	point, err := find(reply, tagPublic, tagPoint)
	if err != nil {
		return nil, fault.As(fault.Unavailable, fmt.Errorf("read the new public key: %w", err))
	}
	k, err := t.key(ctx, s)
	if err == nil {
		err = t.confirm(ctx, k, policies, point)
	}
	if err != nil {
		return nil, fault.As(fault.Untrusted, fmt.Errorf("slot %s holds a new key that is not to be used: %w", s, err))
	}
	k.policies = policies
	return k, nil
}

// confirm compares what was made with what the token says of it and attests.
func (t *token) confirm(ctx context.Context, k *slotKey, policies key.Policies, point []byte) error {
	algorithm := byte(algorithmP256)
	if k.algorithm == key.Ed25519 {
		algorithm = algorithmEd25519
	}
	made, err := parsePoint(algorithm, point)
	if err != nil {
		return err
	}
	if !equal(made, k.public) || !k.generated {
		return errors.New("the token describes another key")
	}
	if t.version.describesKeys() && k.policies != policies {
		return fmt.Errorf("its policies are PIN %s and touch %s", k.policies.PIN, k.policies.Touch)
	}
	chain, err := t.attest(ctx, k.slot)
	if err != nil {
		return err
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return fmt.Errorf("read the attestation: %w", err)
	}
	own, err := x509.ParseCertificate(chain[1])
	if err != nil {
		return fmt.Errorf("read the token's own certificate: %w", err)
	}
	if !equal(made, leaf.PublicKey) || !bytes.Equal(leaf.RawIssuer, own.RawSubject) {
		return errors.New("the token attests another key")
	}
	return own.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature)
}

func equal(a, b crypto.PublicKey) bool {
	e, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && e.Equal(b)
}
