package policy

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// roleDefault is the role that a signature of another format stands for unless
// the entry names one.
const roleDefault = "targets"

// maxAccept bounds the entries of a publisher, and what each lists.
const maxAccept = 16

// Accept is a way in which a publisher signs other than by TUF. A signature that
// it accepts stands for Role. Exactly one of Cosign and Notation is set.
type Accept struct {
	Role     string    `yaml:"role"` // "targets" if it is left out
	Cosign   *Cosign   `yaml:"cosign"`
	Notation *Notation `yaml:"notation"`
}

// Format returns the name of the program that makes such signatures.
func (a *Accept) Format() string {
	if a.Notation != nil {
		return "notation"
	}
	return "cosign"
}

// Cosign is who signs with cosign: somebody who holds one of the keys, or one of
// Subjects with a certificate from one of Roots.
type Cosign struct {
	Keys     []PublicKey   `yaml:"keys"`
	Roots    []Certificate `yaml:"roots"`
	Subjects []Subject     `yaml:"subjects"`
}

// Notation is who signs with notation: one of Subjects with a certificate from
// one of Roots.
type Notation struct {
	Roots    []Certificate `yaml:"roots"`
	Subjects []Subject     `yaml:"subjects"`
}

// PublicKey is a key, written as a PEM block "PUBLIC KEY". It stands in the
// document itself, so that the document's hash says what was believed.
type PublicKey struct {
	Key         crypto.PublicKey
	Fingerprint string // SHA-256 of the DER SubjectPublicKeyInfo
}

// minRSA is the smallest RSA key that is taken, in bits.
const minRSA = 2048

func (p *PublicKey) parse(s string) error {
	der, err := onePEM(s, "PUBLIC KEY")
	if err != nil {
		return err
	}
	if p.Key, err = x509.ParsePKIXPublicKey(der); err != nil {
		return fmt.Errorf("not a public key: %w", err)
	}
	p.Fingerprint = fmt.Sprintf("sha256:%x", sha256.Sum256(der))
	switch k := p.Key.(type) {
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
	return fmt.Errorf("a key of type %T: ECDSA on P-256, Ed25519 and RSA from %d bits are taken", p.Key, minRSA)
}

// Certificate is an authority's or a signer's certificate, written as a PEM block
// "CERTIFICATE".
type Certificate struct{ *x509.Certificate }

func (c *Certificate) parse(s string) error {
	der, err := onePEM(s, "CERTIFICATE")
	if err != nil {
		return err
	}
	if c.Certificate, err = x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("not a certificate: %w", err)
	}
	return nil
}

// onePEM returns the content of the one block that s holds.
func onePEM(s, kind string) ([]byte, error) {
	s = strings.TrimSpace(s)
	block, rest := pem.Decode([]byte(s))
	switch {
	case block == nil || !strings.HasPrefix(s, "-----BEGIN ") || len(block.Headers) > 0:
		return nil, fmt.Errorf("write the PEM block itself, from -----BEGIN %s----- to -----END %s-----, after a |", kind, kind)
	case block.Type != kind:
		return nil, fmt.Errorf("a PEM block %q where %q is expected", block.Type, kind)
	case len(strings.TrimSpace(string(rest))) > 0:
		return nil, errors.New("one block to an entry: something follows it")
	}
	return block.Bytes, nil
}

func (d *decoder) checkAccept(path string, p *Publisher) {
	if len(p.RootKeys.Keys) > 0 || p.RootKeys.Threshold != 0 {
		d.fail(path, "a publisher has rootKeys or accept, not both: whoever withholds the stronger signatures would be left with the weaker")
	}
	if p.Hardware != nil {
		d.fail(path, "hardware speaks of root keys, and signatures of other formats have none")
	}
	if len(p.Accept) > maxAccept {
		d.fail(path, "more than %d entries", maxAccept)
		return
	}
	for i := range p.Accept {
		d.checkOneAccept(fmt.Sprintf("%s[%d]", path, i), &p.Accept[i])
	}
}

func (d *decoder) checkOneAccept(path string, a *Accept) {
	if d.where[join(path, "role")] == (position{}) {
		a.Role = roleDefault
	}
	if a.Role == "" {
		d.fail(join(path, "role"), "is empty")
	}
	switch {
	case (a.Cosign == nil) == (a.Notation == nil):
		d.fail(path, "say one of cosign and notation")
	case a.Notation != nil:
		d.checkAuthorities(join(path, "notation"), a.Notation.Roots, a.Notation.Subjects)
	default:
		c := a.Cosign
		if len(c.Keys) == 0 || len(c.Roots)+len(c.Subjects) > 0 {
			d.checkAuthorities(join(path, "cosign"), c.Roots, c.Subjects)
		}
		if len(c.Keys) > maxAccept {
			d.fail(join(path, "cosign.keys"), "more than %d", maxAccept)
		}
	}
}

func (d *decoder) checkAuthorities(path string, roots []Certificate, subjects []Subject) {
	switch {
	case len(roots) == 0:
		d.fail(path, "name the certificates that are believed (roots), or for cosign the keys")
	case len(subjects) == 0:
		d.fail(path, `name the subjects that count, for instance ["CN=release, O=Example"], or ["*"] for everybody below the roots`)
	case len(roots) > maxAccept || len(subjects) > maxAccept:
		d.fail(path, "more than %d roots or subjects", maxAccept)
	}
}
