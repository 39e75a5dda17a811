package codesign

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"

	"plimsoll/internal/fault"
)

// Bounds on a chain.
const (
	// MaxChain is the longest chain that is read, in certificates.
	MaxChain = 8
	// maxPEM bounds a file of certificates, in bytes.
	maxPEM   = 256 << 10
	minRSA   = 2048
	maxBytes = 64 << 10 // of one certificate's DER
)

// ParsePEM returns the certificates of text, leaf first: PEM blocks
// "CERTIFICATE" and nothing else. Anything that is not that, or more than
// [MaxChain], is Invalid.
func ParsePEM(text []byte) ([]*x509.Certificate, error) {
	if len(text) > maxPEM {
		return nil, fault.Errorf(fault.Invalid, "certificates of %d bytes: at most %d are taken", len(text), maxPEM)
	}
	var ders [][]byte
	for rest := bytes.TrimSpace(text); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		if !bytes.HasPrefix(rest, []byte("-----BEGIN CERTIFICATE-----")) {
			return nil, fault.Errorf(fault.Invalid, "something stands in the file that is not a certificate in PEM")
		}
		block, after := pem.Decode(rest)
		if block == nil || len(block.Headers) > 0 {
			return nil, fault.Errorf(fault.Invalid, "certificate %d is not PEM without headers", len(ders)+1)
		}
		ders, rest = append(ders, block.Bytes), after
	}
	return Parse(ders)
}

// Parse returns the certificates of a chain in DER, leaf first.
func Parse(ders [][]byte) ([]*x509.Certificate, error) {
	if len(ders) == 0 || len(ders) > MaxChain {
		return nil, fault.Errorf(fault.Invalid, "a chain of %d certificates: between 1 and %d are taken", len(ders), MaxChain)
	}
	var chain []*x509.Certificate
	for i, der := range ders {
		if len(der) > maxBytes {
			return nil, fault.Errorf(fault.Invalid, "certificate %d has %d bytes", i+1, len(der))
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fault.Errorf(fault.Invalid, "parse certificate %d: %w", i+1, err)
		}
		chain = append(chain, c)
	}
	return chain, nil
}

// EncodePEM returns the chain in PEM.
func EncodePEM(chain []*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range chain {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return b.Bytes()
}

// Ordered refuses a chain in which one certificate was not issued by the next,
// or whose leaf may not sign code (Notary Project, "Certificate Requirements").
func Ordered(chain []*x509.Certificate) error {
	if err := leaf(chain[0]); err != nil {
		return err
	}
	for i, c := range chain[:len(chain)-1] {
		if err := c.CheckSignatureFrom(chain[i+1]); err != nil {
			return fault.Errorf(fault.Invalid, "certificate %d of the chain was not issued by the next one: %w", i+1, err)
		}
	}
	last := chain[len(chain)-1]
	if !bytes.Equal(last.RawIssuer, last.RawSubject) {
		return fault.Errorf(fault.Invalid, "the chain does not end with a certificate that issued itself, %q", last.Subject)
	}
	if err := last.CheckSignature(last.SignatureAlgorithm, last.RawTBSCertificate, last.Signature); err != nil {
		return fault.Errorf(fault.Invalid, "the last certificate of the chain did not sign itself: %w", err)
	}
	return nil
}

// leaf refuses a certificate that must not stand for a signing key.
func leaf(c *x509.Certificate) error {
	switch {
	case c.IsCA:
		return fault.Errorf(fault.Invalid, "certificate %q is an authority's, not a signer's", c.Subject)
	case c.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return fault.Errorf(fault.Invalid, "certificate %q is not for signing", c.Subject)
	}
	for _, usage := range c.ExtKeyUsage {
		if usage != x509.ExtKeyUsageCodeSigning {
			return fault.Errorf(fault.Invalid, "certificate %q is for more than signing code", c.Subject)
		}
	}
	if len(c.ExtKeyUsage) == 0 && len(c.UnknownExtKeyUsage) > 0 {
		return fault.Errorf(fault.Invalid, "certificate %q is for something else than signing code", c.Subject)
	}
	switch pub := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if pub.N.BitLen() < minRSA {
			return fault.Errorf(fault.Invalid, "certificate %q has an RSA key of %d bits, at least %d are taken", c.Subject, pub.N.BitLen(), minRSA)
		}
	case *ecdsa.PublicKey:
	default:
		return fault.Errorf(fault.Invalid, "certificate %q has a key of type %T; RSA and ECDSA are taken", c.Subject, pub)
	}
	return nil
}
