package sigstore_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/key/keytest"
	"plimsoll/internal/trust/codesign"
	"plimsoll/internal/trust/sigstore"
)

// TestKeyless: a certificate of Fulcio's kind is refused with a message that says
// so, even if its authority is believed.
func TestKeyless(t *testing.T) {
	signer := keytest.New(t, key.ECDSAP256)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "somebody"}, NotBefore: then.Add(-time.Hour), NotAfter: then.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 1}, Value: []byte("https://issuer.example.com")}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer.Signer)
	if err != nil {
		t.Fatal(err)
	}
	roots, err := codesign.Parse([][]byte{der})
	if err != nil {
		t.Fatal(err)
	}
	b, err := sigstore.Sign(t.Context(), signer, multi)
	if err != nil {
		t.Fatal(err)
	}
	b = []byte(strings.Replace(string(b), `"publicKey":{`, `"certificate":{"rawBytes":"`+encode(der)+`"},"unused":{`, 1))
	anchors := sigstore.Anchors{Now: then, Authorities: codesign.Authorities{Roots: roots, Subject: func(pkix.Name) bool { return true }}}
	_, err = sigstore.Verify(b, multi, sigstore.SignPredicate, anchors)
	if !fault.Is(err, fault.Untrusted) || !strings.Contains(err.Error(), "keyless") || fault.HintOf(err) == "" {
		t.Error(err)
	}
}
