package sigstore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust/codesign"
)

// Anchors are who is believed: keys, and authorities with the subjects that they
// may speak for.
type Anchors struct {
	Keys        []crypto.PublicKey
	Authorities codesign.Authorities
	Now         time.Time // for certificates
}

// Signer is who signed: exactly one of the two is set.
type Signer struct {
	Key         crypto.PublicKey
	Certificate *x509.Certificate
}

// Verified is a statement whose signature was checked.
type Verified struct {
	Statement *Statement
	Payload   []byte // the statement's bytes, as they were signed
	Signer    Signer
}

// Verify returns the statement of the bundle b if it is about d, is of the
// given predicate type, and was signed by one of the anchors. Untrusted if not,
// Unavailable if the bundle is one that this program cannot read.
func Verify(b []byte, d ref.Digest, predicateType string, a Anchors) (*Verified, error) {
	parsed, err := parseBundle(b)
	if err != nil {
		return nil, err
	}
	v := &Verified{Payload: parsed.Envelope.Payload}
	if v.Signer, err = parsed.signer(a); err != nil {
		return nil, err
	}
	if v.Statement, err = parseStatement(v.Payload); err != nil {
		return nil, err
	}
	if v.Statement.PredicateType != predicateType {
		return nil, fault.Errorf(fault.Untrusted, "a statement of the type %q, not %q", cut(v.Statement.PredicateType), predicateType)
	}
	return v, v.Statement.about(d)
}

// signer returns the anchor that signed.
func (b *bundle) signer(a Anchors) (Signer, error) {
	message, sig := preAuth(b.Envelope.PayloadType, b.Envelope.Payload), b.Envelope.Signatures[0].Sig
	m := b.VerificationMaterial
	switch {
	case m.PublicKey != nil && m.Certificate == nil && m.Chain == nil:
		return a.byKey(message, sig)
	case m.PublicKey == nil && (m.Certificate == nil) != (m.Chain == nil):
		return a.byCertificate(m, message, sig)
	}
	return Signer{}, fault.Errorf(fault.Untrusted, "the bundle does not say in one way who signed it")
}

func (a Anchors) byKey(message, sig []byte) (Signer, error) {
	for _, k := range a.Keys {
		if check(k, message, sig) == nil {
			return Signer{Key: k}, nil
		}
	}
	if len(a.Keys) == 0 {
		return Signer{}, fault.Errorf(fault.Untrusted, "signed with a key, and only certificates are believed")
	}
	return Signer{}, fault.Errorf(fault.Untrusted, "not signed by any of the keys that are believed (%d)", len(a.Keys))
}

// byCertificate takes a certificate for one of the keys that are believed as it
// takes the key: nobody has to vouch for it.
func (a Anchors) byCertificate(m material, message, sig []byte) (Signer, error) {
	ders := [][]byte{}
	if m.Certificate != nil {
		ders = append(ders, m.Certificate.RawBytes)
	} else {
		for _, c := range m.Chain.Certificates {
			ders = append(ders, c.RawBytes)
		}
	}
	chain, err := codesign.Parse(ders)
	if err != nil {
		return Signer{}, fault.As(fault.Untrusted, err)
	}
	if err := check(chain[0].PublicKey, message, sig); err != nil {
		return Signer{}, err
	}
	for _, k := range a.Keys {
		if codesign.Certifies(chain[0], k) {
			return Signer{Key: k}, nil
		}
	}
	if isKeyless(chain[0]) {
		return Signer{}, errKeyless
	}
	if len(a.Authorities.Roots) == 0 {
		return Signer{}, fault.Errorf(fault.Untrusted, "signed with a certificate, %q, and no authority is believed", chain[0].Subject)
	}
	return Signer{Certificate: chain[0]}, a.Authorities.Check(chain, a.Now)
}

// errKeyless is the answer to certificates that live for minutes.
var errKeyless = fault.Hint(
	fault.Errorf(fault.Untrusted, "a keyless signature (Fulcio), whose identity rests on a public transparency log: this program takes keys and named authorities"),
	"have the image signed with a key, as in: cosign sign --key cosign.key IMAGE")

// fulcio is the arc of Fulcio's extensions (sigstore/fulcio, docs/oid-info.md).
var fulcio = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1}

// isKeyless reports whether a certificate carries one of them.
func isKeyless(c *x509.Certificate) bool {
	for _, e := range c.Extensions {
		if len(e.Id) > len(fulcio) && e.Id[:len(fulcio)].Equal(fulcio) {
			return true
		}
	}
	return false
}

// minRSA is the smallest RSA key that is taken, in bits.
const minRSA = 2048

// CheckKey returns an Invalid error if signatures of a key of that kind are not
// verified here: ECDSA on P-256, Ed25519, and RSA from 2048 bits are.
func CheckKey(pub crypto.PublicKey) error {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return nil
		}
	case ed25519.PublicKey:
		return nil
	case *rsa.PublicKey:
		if k.N.BitLen() >= minRSA {
			return nil
		}
	}
	return fault.Errorf(fault.Invalid, "a key of type %T: ECDSA on P-256, Ed25519 and RSA from %d bits are taken", pub, minRSA)
}

// check verifies sig over message as cosign signs: ECDSA on P-256 in ASN.1, and
// RSA in PKCS #1 v1.5, over SHA-256; Ed25519 over the message.
func check(pub crypto.PublicKey, message, sig []byte) error {
	if err := CheckKey(pub); err != nil {
		return fault.As(fault.Untrusted, err)
	}
	sum := sha256.Sum256(message)
	good := false
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		good = ecdsa.VerifyASN1(k, sum[:], sig)
	case ed25519.PublicKey:
		good = ed25519.Verify(k, message, sig)
	case *rsa.PublicKey:
		good = rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], sig) == nil
	}
	if !good {
		return fault.Errorf(fault.Untrusted, "the signature does not fit what was signed")
	}
	return nil
}
