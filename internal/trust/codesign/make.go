package codesign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

const (
	// lifetime is how long a certificate that we make is valid. Its key is
	// replaced by TUF, not by its certificate, so the date only has to outlive
	// what was signed.
	lifetime = 10 * 365 * 24 * time.Hour
	// leeway lets readers whose clocks are behind take a new certificate.
	leeway = time.Hour
	// maxName is the longest common name (RFC 5280, appendix A.1).
	maxName = 64
)

// SelfSigned makes a code-signing certificate for the signer's key, which signs
// it itself, once. It carries name as its common name and fits the demands of the
// Notary Project (signature-specification, "Certificate Requirements"). A key
// that no notation reader takes is Invalid.
func SelfSigned(ctx context.Context, signer key.Signer, name string, now time.Time) (*x509.Certificate, error) {
	pub, ok := signer.Public().(*ecdsa.PublicKey)
	if !ok {
		err := fault.Errorf(fault.Invalid, "the Notary Project knows no Ed25519 signatures")
		return nil, fault.Hint(err, "plimsoll key generate URI makes a P-256 key, which every reader takes; plimsoll trust rotate gives it to the role")
	}
	serial := make([]byte, 16)
	if _, err := rand.Read(serial); err != nil {
		return nil, fault.Errorf(fault.Internal, "make a serial number: %w", err)
	}
	serial[0] &= 0x7f // positive, at most 20 octets (RFC 5280, 4.1.2.2)
	template := &x509.Certificate{
		SerialNumber:          new(big.Int).SetBytes(serial),
		Subject:               pkix.Name{CommonName: clip(name)},
		NotBefore:             now.Add(-leeway).UTC().Truncate(time.Second),
		NotAfter:              now.Add(lifetime).UTC().Truncate(time.Second),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, pub, &toBeSigned{ctx, signer})
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fault.Errorf(fault.Internal, "the certificate that was made cannot be read: %w", err)
	}
	return c, nil
}

func clip(name string) string {
	if len(name) > maxName {
		return name[:maxName-1] + "~"
	}
	return name
}

// toBeSigned is a [key.Signer] as crypto/x509 wants it. It takes the message
// whole, because a key.Signer hashes for itself.
type toBeSigned struct {
	ctx    context.Context //nolint:containedctx // lives for one call of x509.CreateCertificate
	signer key.Signer
}

var _ crypto.MessageSigner = (*toBeSigned)(nil)

// Public implements [crypto.Signer].
func (s *toBeSigned) Public() crypto.PublicKey { return s.signer.Public() }

// Sign implements [crypto.Signer]; a digest alone cannot be signed.
func (s *toBeSigned) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, fault.Errorf(fault.Internal, "a key that hashes for itself was handed a hash")
}

// SignMessage implements [crypto.MessageSigner].
func (s *toBeSigned) SignMessage(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	if h := opts.HashFunc(); h != crypto.SHA256 {
		return nil, fault.Errorf(fault.Internal, "certificates are signed over SHA-256, not %v", h)
	}
	return s.signer.Sign(s.ctx, message)
}

// Thumbprint returns the SHA-256 of the certificate's DER.
func Thumbprint(c *x509.Certificate) [sha256.Size]byte { return sha256.Sum256(c.Raw) }

// Certifies reports whether the certificate is one for pub.
func Certifies(c *x509.Certificate, pub crypto.PublicKey) bool {
	der, err := x509.MarshalPKIXPublicKey(pub)
	return err == nil && bytes.Equal(der, c.RawSubjectPublicKeyInfo)
}

// Fingerprint returns "sha256:" and the hex SHA-256 of pub's DER
// SubjectPublicKeyInfo, as [key.Fingerprint] does, for every kind of key that
// certificates have.
func Fingerprint(pub crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "", fault.As(fault.Invalid, fmt.Errorf("encode public key: %w", err))
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256(der)), nil
}
