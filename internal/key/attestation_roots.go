package key

import (
	"bytes"
	"crypto/x509"
	_ "embed"
	"encoding/pem"
	"maps"
	"regexp"
	"slices"
	"strings"

	"plimsoll/internal/fault"
)

// Yubico is the name under which Yubico's roots are built in.
const Yubico = "yubico"

// yubicoPEM are Yubico's roots and intermediates for PIV; where they come from
// and what their fingerprints are: roots/README.md.
//
//go:embed roots/yubico.pem
var yubicoPEM []byte

const (
	maxRoots    = 64
	maxRootsPEM = 256 << 10 // bytes
)

var makerName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,62}$`)

// AttestationRoots are the makers of tokens whose word counts, by name. The zero
// value believes nobody. It is not changed once made and may be used
// concurrently.
type AttestationRoots struct {
	makers map[string]maker
}

// maker is one name and what it signs with.
type maker struct {
	roots         []*x509.Certificate
	intermediates []*x509.Certificate // below roots, known so that a chain may lack them
}

// BuiltinAttestationRoots returns the makers that the program knows by itself,
// which is [Yubico].
func BuiltinAttestationRoots() AttestationRoots {
	certs, err := parseRoots(yubicoPEM)
	if err != nil {
		panic("key: the built-in roots are malformed: " + err.Error())
	}
	return AttestationRoots{}.with(Yubico, certs)
}

// With returns r and the maker name, whose certificates text holds in PEM: its
// roots, and intermediates if chains are to lack them. Invalid if the name is
// not lower-case letters, digits, dots and dashes, is taken already, or text
// holds anything but CA certificates.
func (r AttestationRoots) With(name string, text []byte) (AttestationRoots, error) {
	if !makerName.MatchString(name) {
		return AttestationRoots{}, fault.Errorf(fault.Invalid, "attestation roots: %q is no name: lower-case letters, digits, dots and dashes are taken", cut(name))
	}
	if _, taken := r.makers[name]; taken {
		return AttestationRoots{}, fault.Errorf(fault.Invalid, "attestation roots: there are two of the name %q", name)
	}
	certs, err := parseRoots(text)
	if err != nil {
		return AttestationRoots{}, err
	}
	if c, owner := r.shared(certs); c != nil {
		return AttestationRoots{}, fault.Errorf(fault.Invalid, "attestation roots %q: the key of %q is known as %s's already", name, cleanName(c), owner)
	}
	made := r.with(name, certs)
	if len(made.makers[name].roots) == 0 {
		return AttestationRoots{}, fault.Errorf(fault.Invalid, "attestation roots %q: no certificate in them is signed by itself", name)
	}
	return made, nil
}

// shared returns one of certs whose key a maker in r has, and that maker.
func (r AttestationRoots) shared(certs []*x509.Certificate) (*x509.Certificate, string) {
	for _, name := range r.Names() {
		m := r.makers[name]
		for _, have := range slices.Concat(m.roots, m.intermediates) {
			for _, c := range certs {
				if bytes.Equal(have.RawSubjectPublicKeyInfo, c.RawSubjectPublicKeyInfo) {
					return c, name
				}
			}
		}
	}
	return nil, ""
}

// Names returns the names of the makers, in order.
func (r AttestationRoots) Names() []string { return slices.Sorted(maps.Keys(r.makers)) }

func (r AttestationRoots) with(name string, certs []*x509.Certificate) AttestationRoots {
	makers := make(map[string]maker, len(r.makers)+1)
	maps.Copy(makers, r.makers)
	var m maker
	for _, c := range certs {
		if bytes.Equal(c.RawSubject, c.RawIssuer) && signed(c, c) == nil {
			m.roots = append(m.roots, c)
		} else {
			m.intermediates = append(m.intermediates, c)
		}
	}
	makers[name] = m
	return AttestationRoots{makers}
}

// parseRoots reads CA certificates in PEM. Lines between the blocks are skipped,
// as makers write names there.
func parseRoots(text []byte) ([]*x509.Certificate, error) {
	if len(text) > maxRootsPEM {
		return nil, fault.Errorf(fault.Invalid, "attestation roots of %d bytes, at most %d are taken", len(text), maxRootsPEM)
	}
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fault.Errorf(fault.Invalid, "attestation roots: PEM block %q where certificates are expected", cut(block.Type))
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fault.Errorf(fault.Invalid, "attestation roots, certificate %d: %w", len(certs)+1, err)
		}
		if !c.BasicConstraintsValid || !c.IsCA {
			return nil, fault.Errorf(fault.Invalid, "attestation roots: %q is not a CA's certificate", cleanName(c))
		}
		if certs = append(certs, c); len(certs) > maxRoots {
			return nil, fault.Errorf(fault.Invalid, "attestation roots: more than %d certificates", maxRoots)
		}
	}
	if len(certs) == 0 || bytes.Contains(text, []byte("-----BEGIN")) {
		return nil, fault.Errorf(fault.Invalid, "attestation roots: no certificate in PEM, or one that is cut")
	}
	return certs, nil
}

// known says which makers there are, for a message.
func (r AttestationRoots) known() string {
	if len(r.makers) == 0 {
		return "none is known"
	}
	return "known are " + strings.Join(r.Names(), ", ")
}
