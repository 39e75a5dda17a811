package piv

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"slices"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

// Algorithms of keys (SP 800-78-4, table 6-2, and Yubico's for Ed25519).
const (
	algorithmP256    = 0x11
	algorithmEd25519 = 0xe0
)

// Data objects in Yubico's metadata.
const (
	metaAlgorithm = 0x01
	metaPolicies  = 0x02
	metaOrigin    = 0x03
	metaPublic    = 0x04
	metaFactory   = 0x05

	originGenerated = 1
	tagPoint        = 0x86
)

var (
	pinPolicies   = []key.Policy{1: key.PolicyNever, key.PolicyOnce, key.PolicyAlways, key.PolicyMatchOnce, key.PolicyMatchAlways}
	touchPolicies = []key.Policy{1: key.PolicyNever, key.PolicyAlways, key.PolicyCached}
)

// slotKey is what a token says of a key. Policies are "" if it does not tell.
type slotKey struct {
	slot      slot
	public    crypto.PublicKey
	algorithm key.Algorithm
	policies  key.Policies
	generated bool // in the token; false also if it does not tell
}

// describesKeys reports whether tokens of v have GET METADATA.
func (v version) describesKeys() bool { return v.since(5, 3) }

// key reads what is in a slot: NotFound if nothing is, Invalid if the key is of a
// kind that is not used here. Call it within do.
func (t *token) key(ctx context.Context, s slot) (*slotKey, error) {
	if !t.version.describesKeys() {
		return t.oldKey(ctx, s)
	}
	b, err := t.link.send(ctx, command{ins: insMetadata, p2: byte(s)})
	if isStatus(err, statusNoReference, statusNotFound, statusData) {
		return nil, fault.Errorf(fault.NotFound, "slot %s holds no key", s)
	}
	if err != nil {
		return nil, err
	}
	return parseMetadata(s, b)
}

// parseMetadata reads the answer to GET METADATA.
func parseMetadata(s slot, b []byte) (*slotKey, error) {
	k := &slotKey{slot: s}
	algorithm, err := find(b, metaAlgorithm)
	if err != nil || len(algorithm) != 1 {
		return nil, fault.Errorf(fault.Invalid, "metadata without an algorithm: %x", cut(b))
	}
	point, err := find(b, metaPublic, tagPoint)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "a key of another kind than ECDSA on P-256 and Ed25519 (algorithm %02x)", algorithm)
	}
	if k.public, err = parsePoint(algorithm[0], point); err != nil {
		return nil, err
	}
	if k.algorithm, err = key.AlgorithmOf(k.public); err != nil {
		return nil, err
	}
	if p, err := find(b, metaPolicies); err == nil && len(p) == 2 {
		k.policies = key.Policies{PIN: policyAt(pinPolicies, p[0]), Touch: policyAt(touchPolicies, p[1])}
	}
	origin, err := find(b, metaOrigin)
	k.generated = err == nil && len(origin) == 1 && origin[0] == originGenerated
	return k, nil
}

func policyAt(all []key.Policy, i byte) key.Policy {
	if int(i) < len(all) {
		return all[i]
	}
	return ""
}

// parsePoint reads a public key as tokens write it.
func parsePoint(algorithm byte, point []byte) (crypto.PublicKey, error) {
	switch {
	case algorithm == algorithmP256:
		pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		if err != nil {
			return nil, fault.Errorf(fault.Invalid, "a public key that is malformed: %w", err)
		}
		return pub, nil
	case algorithm == algorithmEd25519 && len(point) == ed25519.PublicKeySize:
		return ed25519.PublicKey(slices.Clone(point)), nil
	}
	return nil, fault.Errorf(fault.Invalid, "a key of another kind than ECDSA on P-256 and Ed25519 (algorithm %02x)", algorithm)
}

// oldKey finds out what is in a slot of a token that does not describe its keys:
// from the attestation of one that was made in it, or the certificate beside one.
func (t *token) oldKey(ctx context.Context, s slot) (*slotKey, error) {
	k := &slotKey{slot: s}
	der, err := t.link.send(ctx, command{ins: insAttest, p1: byte(s)})
	k.generated = err == nil
	if err != nil {
		if !isStatus(err, statusData, statusNoReference, statusNotFound, statusNoInstruction) {
			return nil, err
		}
		if der, err = t.link.certificate(ctx, s.certificate()); err != nil {
			return nil, err
		}
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "slot %s: a certificate that is malformed: %w", s, err)
	}
	k.public = c.PublicKey
	k.algorithm, err = key.AlgorithmOf(k.public)
	return k, err
}

// certificate returns the certificate in a data object; NotFound if there is
// none.
func (l *link) certificate(ctx context.Context, tag []byte) ([]byte, error) {
	const tagObject, tagCertificate = 0x53, 0x70
	b, err := l.object(ctx, tag)
	if err != nil {
		return nil, err
	}
	return find(b, tagObject, tagCertificate)
}

// object returns a data object; NotFound if there is none.
func (l *link) object(ctx context.Context, tag []byte) ([]byte, error) {
	const tagList = 0x5c
	b, err := l.send(ctx, command{ins: insGetData, p1: 0x3f, p2: 0xff, data: appendField(nil, tagList, tag...)})
	if isStatus(err, statusNotFound) || err == nil && len(b) == 0 {
		return nil, fault.Errorf(fault.NotFound, "no data object %x", tag)
	}
	return b, err
}

// isStatus reports whether err is one of the status words.
func isStatus(err error, all ...status) bool {
	var sw status
	return errors.As(err, &sw) && slices.Contains(all, sw)
}
