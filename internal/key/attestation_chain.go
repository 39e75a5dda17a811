package key

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"strings"

	"plimsoll/internal/fault"
)

// The names of Yubico's certificates, believed because Yubico's own keys signed
// them.
const (
	oldRootPIV = "Yubico PIV Root CA Serial 263751"    // firmware before 5.7.4
	oldRootU2F = "Yubico U2F Root CA Serial 457200631" // some YubiKeys 4
	oldToken   = "Yubico PIV Attestation"              // #nosec G101 -- what both call a token's own certificate
	pivIssuers = "Yubico PIV Attestation "             // Attestation Root 1 signs for FIDO and OpenPGP too
)

// vouch returns the name of the maker to one of whose roots certs lead. A
// certificate that is a root's, or an intermediate's that the maker is known to
// have, ends the way.
func (r AttestationRoots) vouch(certs []*x509.Certificate) (string, error) {
	for i, c := range certs[:len(certs)-1] {
		if err := issued(c, certs[i+1]); err != nil {
			return "", fault.Errorf(fault.Untrusted, "attestation, certificate %d: %w", i+1, err)
		}
	}
	for _, name := range r.Names() {
		path, ok := r.makers[name].complete(certs)
		if !ok {
			continue
		}
		if err := checkPath(path, name == Yubico && oldTokenOf(path)); err != nil {
			return "", fault.Errorf(fault.Untrusted, "the attestation by %q is refused: %w", name, err)
		}
		if name == Yubico && !forPIV(path) {
			return "", fault.Errorf(fault.Untrusted, "the attestation is signed by Yubico, but not for PIV")
		}
		return name, nil
	}
	err := fault.Errorf(fault.Untrusted, "nobody known vouches for the attestation: it ends at %q; %s", cleanName(certs[len(certs)-1]), r.known())
	return "", fault.Hint(err, "if the token's maker is to be believed, configure its roots under a name")
}

// complete returns certs with what is missing up to one of m's roots, that
// included.
func (m maker) complete(certs []*x509.Certificate) ([]*x509.Certificate, bool) {
	path := certs
	for range maxChain {
		last := path[len(path)-1]
		for _, root := range m.roots {
			if bytes.Equal(last.Raw, root.Raw) {
				return path, len(path) > 2
			}
			if issued(last, root) == nil {
				return append(path[:len(path):len(path)], root), true
			}
		}
		next := m.above(last)
		if next == nil {
			return nil, false
		}
		path = append(path[:len(path):len(path)], next)
	}
	return nil, false
}

func (m maker) above(c *x509.Certificate) *x509.Certificate {
	for _, i := range m.intermediates {
		if issued(c, i) == nil {
			return i
		}
	}
	return nil
}

// checkPath judges path, whose signatures hold: key, token, …, root. What counts
// is that a token's user cannot stand in for its maker: a key in a slot signs
// whatever its user wants, so a certificate with policies, which is a slot's, is
// no issuer, and an issuer is a CA whose limit of path length holds, but for the
// old tokens of which [oldTokenOf] speaks.
func checkPath(path []*x509.Certificate, old bool) error {
	for i, c := range path[1:] {
		if _, ok := extension(c, oidPolicies); ok {
			return fmt.Errorf("%q is a key in a slot and cannot vouch for another", cleanName(c))
		}
		if old {
			continue
		}
		switch {
		case !c.BasicConstraintsValid || !c.IsCA:
			return fmt.Errorf("%q is not a CA's certificate", cleanName(c))
		case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
			return fmt.Errorf("%q may not sign certificates", cleanName(c))
		case (c.MaxPathLen > 0 || c.MaxPathLenZero) && i > c.MaxPathLen:
			return fmt.Errorf("%q may not have %d issuers below it", cleanName(c), i)
		}
	}
	return nil
}

// oldTokenOf reports whether path is that of an old YubiKey (firmware 4, and 5 up
// to 5.2 at least): its own certificate has no basic constraints, so that by RFC
// 5280 it could not be an issuer, and one of the roots allows for none below it.
// Only two roots of Yubico's signed such, directly and under one name.
func oldTokenOf(path []*x509.Certificate) bool {
	if len(path) != 3 {
		return false
	}
	token, root := path[1], path[2].Subject.CommonName
	return !token.BasicConstraintsValid && token.Subject.CommonName == oldToken && (root == oldRootPIV || root == oldRootU2F)
}

// forPIV reports whether path is one of Yubico's for PIV.
func forPIV(path []*x509.Certificate) bool {
	if root := path[len(path)-1].Subject.CommonName; root == oldRootPIV || root == oldRootU2F {
		return len(path) == 3 && path[1].Subject.CommonName == oldToken
	}
	return len(path) > 3 && strings.HasPrefix(path[2].Subject.CommonName, pivIssuers)
}

// issued is an error if parent did not sign child.
func issued(child, parent *x509.Certificate) error {
	if !bytes.Equal(child.RawIssuer, parent.RawSubject) {
		return fmt.Errorf("%q is not issued by %q", cleanName(child), cleanName(parent))
	}
	return signed(child, parent)
}

// signed is an error if child's signature is not parent's, or parent's key is of
// a kind that is too weak or unknown.
func signed(child, parent *x509.Certificate) error {
	switch k := parent.PublicKey.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < 2048 || bits > 4096 {
			return fmt.Errorf("%q has an RSA key of %d bits", cleanName(parent), bits)
		}
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() {
			return fmt.Errorf("%q has a key on curve %s", cleanName(parent), k.Curve.Params().Name)
		}
	case ed25519.PublicKey:
	default:
		return fmt.Errorf("%q has a key of type %T", cleanName(parent), k)
	}
	if err := parent.CheckSignature(child.SignatureAlgorithm, child.RawTBSCertificate, child.Signature); err != nil {
		return fmt.Errorf("%q is not signed by %q: %w", cleanName(child), cleanName(parent), err)
	}
	return nil
}
