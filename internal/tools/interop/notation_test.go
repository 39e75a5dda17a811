package interop

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/notaryproject/notation-core-go/signature/cose"
	"github.com/notaryproject/notation-core-go/signature/jws"
	"github.com/notaryproject/notation-go"
	notationregistry "github.com/notaryproject/notation-go/registry"
	notationsigner "github.com/notaryproject/notation-go/signer"
	"github.com/notaryproject/notation-go/verifier"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/notaryproject/notation-go/verifier/truststore"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/trust/codesign"
	"plimsoll/internal/trust/envelope"
	ours "plimsoll/internal/trust/notation"
)

// store is a trust store of notation with the certificates that it holds.
type store []*x509.Certificate

func (s store) GetCertificates(_ context.Context, t truststore.Type, name string) ([]*x509.Certificate, error) {
	if t != truststore.TypeCA || name != "app" {
		return nil, nil
	}
	return s, nil
}

// policy is the trust policy of docs/sign-for-every-reader.md.
const policy = `{"version":"1.0","trustPolicies":[{"name":"app","registryScopes":["*"],
	"signatureVerification":{"level":"strict"},"trustStores":["ca:app"],"trustedIdentities":["*"]}]}`

func (w *world) repository(t *testing.T) notationregistry.Repository {
	t.Helper()
	r, err := remote.NewRepository(string(w.gun))
	if err != nil {
		t.Fatal(err)
	}
	r.PlainHTTP = true
	return notationregistry.NewRepository(r)
}

// theirs verifies the image d with notation-go against the given authorities.
func (w *world) notationVerify(t *testing.T, d v1.Descriptor, roots []*x509.Certificate) error {
	t.Helper()
	var doc trustpolicy.Document
	if err := json.Unmarshal([]byte(policy), &doc); err != nil {
		t.Fatal(err)
	}
	v, err := verifier.New(&doc, store(roots), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = notation.Verify(t.Context(), v, w.repository(t), notation.VerifyOptions{
		ArtifactReference: string(w.gun) + "@" + string(d.Digest), MaxSignatureAttempts: 10,
	})
	return err
}

func TestNotationReadsOurs(t *testing.T) {
	each(t, key.ECDSAP256, func(t *testing.T, w *world) {
		formats := []string{envelope.Sigstore, envelope.Notation}
		made, err := w.writer.Sign(t.Context(), w.gun, w.key, formats, &w.image)
		if err != nil || made != 6 {
			t.Fatalf("made %d: %v", made, err)
		}
		if again, err := w.writer.Sign(t.Context(), w.gun, w.key, formats, &w.image); err != nil || again != 0 {
			t.Errorf("signed %d again: %v", again, err)
		}
		stranger, err := codesign.SelfSigned(t.Context(), newKey(t, key.ECDSAP256), string(w.gun), now)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range w.subjects(t) {
			if err := w.notationVerify(t, d, w.chain); err != nil {
				t.Errorf("%s: %v", d.MediaType, err)
			}
			if err := w.notationVerify(t, d, []*x509.Certificate{stranger}); err == nil {
				t.Errorf("%s: notation-go takes it from a stranger", d.MediaType)
			}
		}
	})
}

// TestNotationRefusesAltered: what notation-go's own parser says about envelopes
// that were changed, and what ours says.
func TestNotationRefusesAltered(t *testing.T) {
	w := newWorld(t, key.ECDSAP256, true)
	good, err := ours.Sign(t.Context(), w.key, w.chain, w.top, now)
	if err != nil {
		t.Fatal(err)
	}
	believed := codesign.Authorities{Roots: w.chain, Subject: func(pkix.Name) bool { return true }}
	if _, err := ours.Verify(ours.MediaTypeJWS, good, w.top, believed, now); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"payload", "protected", "signature"} {
		var e map[string]any
		if err := json.Unmarshal(good, &e); err != nil {
			t.Fatal(err)
		}
		flip(e, field)
		bad, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if parsed, err := jws.ParseEnvelope(bad); err == nil {
			if _, err := parsed.Verify(); err == nil {
				t.Errorf("%s: notation-go takes it", field)
			}
		}
		if _, err := ours.Verify(ours.MediaTypeJWS, bad, w.top, believed, now); err == nil {
			t.Errorf("%s: ours takes it", field)
		}
	}
}

// authority makes a CA and a leaf below it.
func authority(t *testing.T, public any) []*x509.Certificate {
	t.Helper()
	root, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Vendor CA", Organization: []string{"Vendor"}, Country: []string{"US"}, Province: []string{"WA"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	signer := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "release", Organization: []string{"Vendor"}, Country: []string{"US"}, Province: []string{"WA"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	var chain []*x509.Certificate
	for _, c := range []struct {
		template *x509.Certificate
		public   any
	}{{signer, public}, {ca, root.Public()}} {
		der, err := x509.CreateCertificate(rand.Reader, c.template, ca, c.public, root)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		chain = append(chain, parsed)
	}
	return chain
}

// TestOursReadsNotations signs with notation-go, with keys of several kinds.
func TestOursReadsNotations(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsa3072, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]interface {
		Public() any
	}{"P-384": public{p384, p384.Public()}, "RSA 3072": public{rsa3072, rsa3072.Public()}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, key.ECDSAP256, true)
			chain := authority(t, k.Public())
			w.notationSign(t, k.(public).private, chain, jws.MediaTypeEnvelope)
			subject := func(cn string) func(pkix.Name) bool { return func(n pkix.Name) bool { return n.CommonName == cn } }
			believed := codesign.Authorities{Roots: chain[1:], Subject: subject("release")}
			s, err := w.reader.Notation(t.Context(), w.gun, w.top, believed)
			if err != nil || !strings.Contains(s.Signer, "CN=release") {
				t.Fatal(s, err)
			}
			if _, err := w.reader.Notation(t.Context(), w.gun, w.top, codesign.Authorities{Roots: chain[1:], Subject: subject("other")}); !fault.Is(err, fault.Untrusted) {
				t.Errorf("another subject: %v", err)
			}
			if _, err := w.reader.Notation(t.Context(), w.gun, w.top, codesign.Authorities{Roots: w.chain, Subject: subject("release")}); !fault.Is(err, fault.Untrusted) {
				t.Errorf("another authority: %v", err)
			}
			if _, err := w.reader.Notation(t.Context(), w.gun, w.subjects(t)[1], believed); !fault.Is(err, fault.NotFound) {
				t.Errorf("another image: %v", err)
			}
		})
	}
}

type public struct{ private, pub any }

func (p public) Public() any { return p.pub }

// TestCOSEIsNotPassedOver: a signature in COSE is said, and is not "unsigned".
func TestCOSEIsNotPassedOver(t *testing.T) {
	w := newWorld(t, key.ECDSAP256, true)
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	chain := authority(t, k.Public())
	w.notationSign(t, k, chain, cose.MediaTypeEnvelope)
	_, err = w.reader.Notation(t.Context(), w.gun, w.top, codesign.Authorities{Roots: chain[1:], Subject: func(pkix.Name) bool { return true }})
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "COSE") {
		t.Error(err)
	}
}

func (w *world) notationSign(t *testing.T, private any, chain []*x509.Certificate, mediaType string) {
	t.Helper()
	s, err := notationsigner.NewGenericSigner(private, chain)
	if err != nil {
		t.Fatal(err)
	}
	_, err = notation.Sign(t.Context(), s, w.repository(t), notation.SignOptions{
		SignerSignOptions: notation.SignerSignOptions{SignatureMediaType: mediaType},
		ArtifactReference: string(w.gun) + "@" + string(w.top.Digest),
	})
	if err != nil {
		t.Fatal(err)
	}
}
