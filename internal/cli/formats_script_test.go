package cli_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"os"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"

	"plimsoll/internal/key"
	"plimsoll/internal/trust/codesign"
)

// referrersof IMAGE prints how many referrers a registry lists for an image.
func referrersof(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: referrersof IMAGE")
	}
	name := registryName(ts, args[0])
	d, err := remote.Get(name)
	ts.Check(err)
	list, err := remote.Referrers(name.Context().Digest(d.Digest.String()))
	ts.Check(err)
	index, err := list.IndexManifest()
	ts.Check(err)
	_, err = fmt.Fprintln(ts.Stdout(), len(index.Manifests))
	ts.Check(err)
}

// certify PUBLIC OUT makes an authority and has it issue a certificate for the
// public key in the file PUBLIC; OUT gets the chain, the key's own first.
func certify(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: certify PUBLIC OUT")
	}
	pub, err := key.ParsePublic([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	authority, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Example CA"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "release"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, BasicConstraintsValid: true,
	}
	var chain []*x509.Certificate
	for _, c := range []struct {
		template *x509.Certificate
		pub      any
	}{{leaf, pub}, {ca, authority.Public()}} {
		der, err := x509.CreateCertificate(rand.Reader, c.template, ca, c.pub, authority)
		ts.Check(err)
		parsed, err := x509.ParseCertificate(der)
		ts.Check(err)
		chain = append(chain, parsed)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), codesign.EncodePEM(chain), 0o600))
}
