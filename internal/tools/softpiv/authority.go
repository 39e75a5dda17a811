package softpiv

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// Authority stands for a maker of cards.
type Authority struct {
	private     *ecdsa.PrivateKey
	certificate *x509.Certificate
}

// NewAuthority makes a maker with a root of its own.
func NewAuthority() (*Authority, error) {
	private, cert, err := issue("Soft PIV Root", nil, nil, 1)
	if err != nil {
		return nil, err
	}
	return &Authority{private, cert}, nil
}

// PEM returns the root's certificate.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

// attester is a card's slot F9.
type attester struct {
	private     *ecdsa.PrivateKey
	certificate *x509.Certificate
}

func (a *Authority) token() (*attester, error) {
	private, cert, err := issue("Soft PIV Attestation", a.certificate, a.private, 0)
	return &attester{private, cert}, err
}

// issue makes a CA's certificate with at most issuers below it, signed by parent
// or by itself.
func issue(name string, parent *x509.Certificate, signer *ecdsa.PrivateKey, issuers int) (*ecdsa.PrivateKey, *x509.Certificate, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a CA's key: %w", err)
	}
	c := template(name)
	c.IsCA, c.BasicConstraintsValid, c.MaxPathLen, c.MaxPathLenZero = true, true, issuers, issuers == 0
	c.KeyUsage = x509.KeyUsageCertSign
	if parent == nil {
		parent, signer = c, private
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, private.Public(), signer)
	if err != nil {
		return nil, nil, fmt.Errorf("make a CA's certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	return private, cert, err
}

// template has the dates that Yubico's certificates have.
func template(name string) *x509.Certificate {
	serial := make([]byte, 15)
	_, _ = rand.Read(serial) // never fails: it ends the program instead
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(append([]byte{1}, serial...)),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Date(2024, 12, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	}
}

// attestation answers Yubico's ATTEST.
func (c *Card) attestation(cmd command) ([]byte, uint16) {
	if c.attest == nil {
		return nil, swNoInstruction
	}
	k := c.keys[cmd.p1]
	if k == nil || !k.generated {
		return nil, swData
	}
	serial, err := asn1.Marshal(int(c.config.Serial))
	if err != nil {
		return nil, swData
	}
	t := template(fmt.Sprintf("YubiKey PIV Attestation %02x", cmd.p1))
	t.ExtraExtensions = []pkix.Extension{
		yubico(3, c.config.Firmware[:]...), yubico(7, serial...), yubico(8, k.pin, k.touch), yubico(9, 1),
	}
	der, err := x509.CreateCertificate(rand.Reader, t, c.attest.certificate, k.private.Public(), c.attest.private)
	if err != nil {
		return nil, swData
	}
	return der, swOK
}

func yubico(n int, value ...byte) pkix.Extension {
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 41482, 3, n}, Value: value}
}
