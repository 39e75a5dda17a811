package codesign

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"time"

	"plimsoll/internal/fault"
)

// Authorities are the certificates whose word is believed, and about whom.
type Authorities struct {
	// Roots are believed as they are: authorities, intermediate ones as well, or
	// a signer's own certificate.
	Roots []*x509.Certificate
	// Subject reports whether a signer of that name is one that is meant. nil
	// means nobody.
	Subject func(pkix.Name) bool
}

// Check returns nil if the first certificate of chain is one of the roots, or
// was issued below one of them, names a subject that is meant, may sign code,
// and all of it is valid at now. Otherwise the error is Untrusted.
func (a Authorities) Check(chain []*x509.Certificate, now time.Time) error {
	if len(chain) == 0 || len(chain) > MaxChain {
		return fault.Errorf(fault.Untrusted, "a chain of %d certificates", len(chain))
	}
	signer := chain[0]
	if err := leaf(signer); err != nil {
		return fault.As(fault.Untrusted, err)
	}
	if a.Subject == nil || !a.Subject(signer.Subject) {
		return fault.Errorf(fault.Untrusted, "signed by %q, who is not among the subjects that are believed", signer.Subject)
	}
	if now.Before(signer.NotBefore) || now.After(signer.NotAfter) {
		return fault.Errorf(fault.Untrusted, "certificate %q is valid from %s to %s only, and nobody countersigned the time of signing",
			signer.Subject, signer.NotBefore.UTC().Format(time.RFC3339), signer.NotAfter.UTC().Format(time.RFC3339))
	}
	roots := x509.NewCertPool()
	for _, r := range a.Roots {
		if bytes.Equal(r.Raw, signer.Raw) { // named itself: nobody's word is needed
			return nil
		}
		roots.AddCert(r)
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := signer.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	})
	if err != nil {
		return fault.Errorf(fault.Untrusted, "no certificate that is believed vouches for %q: %w", signer.Subject, err)
	}
	return nil
}
