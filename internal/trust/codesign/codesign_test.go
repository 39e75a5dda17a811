package codesign_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/key/keytest"
	"plimsoll/internal/trust/codesign"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func anybody(pkix.Name) bool { return true }

func TestSelfSigned(t *testing.T) {
	signer := keytest.New(t, key.ECDSAP256)
	name := "registry.example.com/" + strings.Repeat("long/", 20) + "app"
	c, err := codesign.SelfSigned(t.Context(), signer, name, now)
	if err != nil {
		t.Fatal(err)
	}
	if signer.Signed != 1 {
		t.Errorf("it took %d signatures", signer.Signed)
	}
	if len(c.Subject.CommonName) != 64 || !codesign.Certifies(c, signer.Public()) || codesign.Certifies(c, keytest.New(t, key.ECDSAP256).Public()) {
		t.Errorf("%q", c.Subject)
	}
	chain := []*x509.Certificate{c}
	if err := codesign.Ordered(chain); err != nil {
		t.Error(err)
	}
	own := codesign.Authorities{Roots: chain, Subject: anybody}
	for at, want := range map[time.Time]bool{now: true, now.AddDate(9, 0, 0): true, now.AddDate(10, 1, 0): false, now.Add(-2 * time.Hour): false} {
		if err := own.Check(chain, at); (err == nil) != want {
			t.Errorf("at %s: %v", at, err)
		}
	}
	again, err := codesign.ParsePEM(codesign.EncodePEM(chain))
	if err != nil || !again[0].Equal(c) {
		t.Error(err)
	}
	print, err := codesign.Fingerprint(signer.Public())
	want, _ := key.Fingerprint(signer.Public())
	if err != nil || print != want {
		t.Errorf("%s, %v, want %s", print, err, want)
	}
}

func TestEd25519IsRefused(t *testing.T) {
	_, err := codesign.SelfSigned(t.Context(), keytest.New(t, key.Ed25519), "app", now)
	if !fault.Is(err, fault.Invalid) || fault.HintOf(err) == "" {
		t.Error(err)
	}
}

type broken struct{ *keytest.Signer }

func (broken) Sign(context.Context, []byte) ([]byte, error) {
	return nil, fault.As(fault.Unavailable, errors.New("token pulled out"))
}

func TestTokenPulledOut(t *testing.T) {
	if _, err := codesign.SelfSigned(t.Context(), broken{keytest.New(t, key.ECDSAP256)}, "app", now); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
}

// issuer is an authority in memory.
type issuer struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// issue makes a certificate below i, or one that signs itself if i is nil.
func issue(t *testing.T, i *issuer, change func(*x509.Certificate), signer crypto.Signer) *issuer {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "signer"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, BasicConstraintsValid: true,
	}
	if change != nil {
		change(template)
	}
	if i == nil {
		i = &issuer{template, signer}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, i.cert, signer.Public(), i.key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{c, signer}
}

func p256(t *testing.T) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func ca(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject.CommonName, c.IsCA, c.KeyUsage, c.ExtKeyUsage = name, true, x509.KeyUsageCertSign, nil
	}
}

func TestChains(t *testing.T) {
	root := issue(t, nil, ca("root"), p256(t))
	middle := issue(t, root, ca("middle"), p256(t))
	other := issue(t, nil, ca("root"), p256(t)) // the same name, another key
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	leaf := func(change func(*x509.Certificate)) *x509.Certificate { return issue(t, middle, change, p256(t)).cert }
	good := leaf(nil)
	unknown := leaf(func(c *x509.Certificate) {
		c.ExtKeyUsage, c.UnknownExtKeyUsage = nil, []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 99}}
	})
	for name, tt := range map[string]struct {
		leaf    *x509.Certificate
		between []*x509.Certificate
		a       codesign.Authorities
		want    string
	}{
		"whole chain":        {good, []*x509.Certificate{middle.cert, root.cert}, codesign.Authorities{Roots: []*x509.Certificate{root.cert}, Subject: anybody}, ""},
		"intermediate named": {good, nil, codesign.Authorities{Roots: []*x509.Certificate{middle.cert}, Subject: anybody}, ""},
		"signer named":       {good, nil, codesign.Authorities{Roots: []*x509.Certificate{good}, Subject: anybody}, ""},
		"link missing":       {good, nil, codesign.Authorities{Roots: []*x509.Certificate{root.cert}, Subject: anybody}, "vouches"},
		"another root":       {good, []*x509.Certificate{middle.cert}, codesign.Authorities{Roots: []*x509.Certificate{other.cert}, Subject: anybody}, "vouches"},
		"no roots":           {good, []*x509.Certificate{middle.cert, root.cert}, codesign.Authorities{Subject: anybody}, "vouches"},
		"no subject":         {good, nil, codesign.Authorities{Roots: []*x509.Certificate{good}}, "subjects"},
		"another subject":    {good, nil, codesign.Authorities{Roots: []*x509.Certificate{good}, Subject: func(n pkix.Name) bool { return n.CommonName == "x" }}, "subjects"},
		"for servers": {
			leaf(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), nil,
			codesign.Authorities{Roots: []*x509.Certificate{middle.cert}, Subject: anybody},
			"more than signing code",
		},
		"signer named, for something else": {unknown, nil, codesign.Authorities{Roots: []*x509.Certificate{unknown}, Subject: anybody}, "something else than"},
		"not for signing": {
			leaf(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), nil,
			codesign.Authorities{Roots: []*x509.Certificate{middle.cert}, Subject: anybody},
			"not for signing",
		},
		"an authority's": {middle.cert, nil, codesign.Authorities{Roots: []*x509.Certificate{middle.cert}, Subject: anybody}, "authority"},
		"expired": {
			leaf(func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) }), nil,
			codesign.Authorities{Roots: []*x509.Certificate{middle.cert}, Subject: anybody},
			"valid from",
		},
		"weak key": {issue(t, middle, nil, weak).cert, nil, codesign.Authorities{Roots: []*x509.Certificate{middle.cert}, Subject: anybody}, "1024"},
		"too long": {good, make([]*x509.Certificate, codesign.MaxChain), codesign.Authorities{Roots: []*x509.Certificate{good}, Subject: anybody}, "certificates"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.a.Check(append([]*x509.Certificate{tt.leaf}, tt.between...), now)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !fault.Is(err, fault.Untrusted) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if err := (codesign.Authorities{}).Check(nil, now); !fault.Is(err, fault.Untrusted) {
		t.Errorf("no chain: %v", err)
	}
}

func TestOrdered(t *testing.T) {
	root := issue(t, nil, ca("root"), p256(t))
	leaf := issue(t, root, nil, p256(t))
	other := issue(t, nil, ca("root"), p256(t))
	for name, tt := range map[string]struct {
		chain []*x509.Certificate
		want  bool
	}{
		"good":             {[]*x509.Certificate{leaf.cert, root.cert}, true},
		"root missing":     {[]*x509.Certificate{leaf.cert}, false},
		"another root":     {[]*x509.Certificate{leaf.cert, other.cert}, false},
		"the other way":    {[]*x509.Certificate{root.cert, leaf.cert}, false},
		"authority signs":  {[]*x509.Certificate{root.cert}, false},
		"leaf not its own": {[]*x509.Certificate{leaf.cert, leaf.cert}, false},
	} {
		if err := codesign.Ordered(tt.chain); (err == nil) != tt.want || err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParsePEM(t *testing.T) {
	good := string(codesign.EncodePEM([]*x509.Certificate{issue(t, nil, nil, p256(t)).cert}))
	block := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	for name, tt := range map[string]struct {
		text string
		want int
	}{
		"one": {good, 1}, "two": {good + "\n\n" + good, 2}, "nothing": {"", 0}, "words before": {"x\n" + good, 0}, "words behind": {good + "x", 0},
		"a key": {block("PRIVATE KEY", []byte("x")), 0}, "not DER": {block("CERTIFICATE", []byte("x")), 0}, "cut": {good[:len(good)/2], 0},
		"too many": {strings.Repeat(good, codesign.MaxChain+1), 0}, "huge": {strings.Repeat(" ", 1<<20) + good, 0},
	} {
		chain, err := codesign.ParsePEM([]byte(tt.text))
		if diff := cmp.Diff(tt.want, len(chain)); diff != "" || (tt.want == 0) != fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}

func FuzzParsePEM(f *testing.F) {
	c, err := codesign.SelfSigned(f.Context(), keytest.New(f, key.ECDSAP256), "app", now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(codesign.EncodePEM([]*x509.Certificate{c}))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		chain, err := codesign.ParsePEM(b)
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("kind of %v", err)
		}
		if err == nil {
			_ = codesign.Ordered(chain)
			_ = (codesign.Authorities{Roots: chain, Subject: anybody}).Check(chain, now)
		}
	})
}

func Example() {
	signer := keytest.New(&testing.T{}, key.ECDSAP256)
	c, err := codesign.SelfSigned(context.Background(), signer, "registry.example.com/team/app", now)
	if err != nil {
		fmt.Println(err)
		return
	}
	believed := codesign.Authorities{Roots: []*x509.Certificate{c}, Subject: func(n pkix.Name) bool { return n.CommonName == c.Subject.CommonName }}
	fmt.Println(c.Subject, believed.Check([]*x509.Certificate{c}, now))
	// Output: CN=registry.example.com/team/app <nil>
}
