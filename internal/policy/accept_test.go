package policy_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/policy"
	"plimsoll/internal/verdict"
)

// block returns a PEM block as it stands in a document, indented.
func block(kind string, der []byte) string {
	text := string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	return "|\n            " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n            ")
}

func publicKey(t *testing.T, pub any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return block("PUBLIC KEY", der)
}

func p256(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func certificate(t *testing.T) string {
	t.Helper()
	k := p256(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	return block("CERTIFICATE", der)
}

const vendor = "apiVersion: plimsoll/v1\nkind: Policy\npublishers:\n  vendor:\n    repositories: [\"registry.example.com/vendor/**\"]\n"

func TestAccept(t *testing.T) {
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	big2048, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, cert := publicKey(t, p256(t).Public()), certificate(t)
	pins := "    rootKeys: {threshold: 1, keys: [\"sha256:9c41000000000000000000000000000000000000000000000000000000000000\"]}\n"
	cosign := "    accept:\n      - cosign:\n          keys:\n          - "
	notation := "    accept:\n      - notation:\n          subjects: [\"CN=release, O=Vendor\"]\n          roots:\n          - "
	for name, tt := range map[string]struct{ text, want string }{
		"cosign, P-256":         {cosign + key, ""},
		"cosign, Ed25519":       {cosign + publicKey(t, ed), ""},
		"cosign, RSA":           {cosign + publicKey(t, big2048.Public()), ""},
		"cosign, certificate":   {strings.Replace(notation, "notation", "cosign", 1) + cert, ""},
		"notation":              {notation + cert, ""},
		"a role":                {strings.Replace(notation, "- notation", "- role: releases\n        notation", 1) + cert, ""},
		"another curve":         {cosign + publicKey(t, p384.Public()), "publishers.vendor.accept[0].cosign.keys[0]: a key of type"},
		"a fingerprint":         {cosign + "'sha256:00'", "write the PEM block itself"},
		"a certificate as key":  {cosign + cert, `a PEM block "CERTIFICATE" where "PUBLIC KEY"`},
		"a key as root":         {notation + key, `a PEM block "PUBLIC KEY" where "CERTIFICATE"`},
		"two keys in one":       {cosign + key + "\n            " + strings.TrimPrefix(key, "|\n            "), "something follows it"},
		"not DER":               {cosign + block("PUBLIC KEY", []byte("x")), "not a public key"},
		"root keys as well":     {pins + cosign + key, "rootKeys or accept, not both"},
		"hardware":              {cosign + key + "\n    hardware: required", "hardware speaks of root keys"},
		"nothing":               {"    accept:\n      - {role: targets}", "say one of cosign and notation"},
		"both":                  {cosign + key + "\n        notation: {subjects: ['*']}", "say one of cosign and notation"},
		"nobody":                {"    accept:\n      - cosign: {keys: []}", "name the certificates that are believed"},
		"empty list":            {"    accept: []", "publishers.vendor.rootKeys: name the keys"},
		"roots without subject": {strings.Replace(notation, "[\"CN=release, O=Vendor\"]", "[]", 1) + cert, "name the subjects that count"},
		"empty role":            {strings.Replace(notation, "- notation", "- role: ''\n        notation", 1) + cert, "accept[0].role: is empty"},
		"no subject":            {strings.Replace(notation, "CN=release, O=Vendor", "release", 1) + cert, "is no subject such as"},
		"unknown field":         {"    accept:\n      - keyless: {}", "unknown field; known here: cosign, notation, role"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := policy.Parse("policy.yaml", []byte(vendor+tt.text+"\n"))
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if a := d.Publishers["vendor"].Accept; len(a) != 1 || a[0].Role != "targets" && a[0].Role != "releases" {
					t.Errorf("%+v", a)
				}
				return
			}
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestSubjects(t *testing.T) {
	name := pkix.Name{Names: []pkix.AttributeTypeAndValue{
		{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "release"},
		{Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: "Vendor, Inc."},
		{Type: asn1.ObjectIdentifier{2, 5, 4, 11}, Value: "a"},
		{Type: asn1.ObjectIdentifier{2, 5, 4, 11}, Value: "b"},
		{Type: asn1.ObjectIdentifier{2, 5, 4, 8}, Value: "WA"},
		{Type: asn1.ObjectIdentifier{2, 5, 4, 6}, Value: 7},
	}}
	cert := certificate(t)
	for subject, want := range map[string]bool{
		"*": true, "CN=release": true, `CN=release, O=Vendor\, Inc.`: true, "cn=release,OU=b": true, "S=WA": true, "OU=a + ST=WA": true,
		"CN=Release": false, "CN=release, O=Other": false, "OU=c": false, "C=7": false, "L=x": false, "CN=releases": false,
	} {
		text := vendor + "    accept:\n      - notation:\n          subjects: ['" + subject + "']\n          roots:\n          - " + cert + "\n"
		d, err := policy.Parse("policy.yaml", []byte(text))
		if err != nil {
			t.Errorf("%q: %v", subject, err)
			continue
		}
		if s := d.Publishers["vendor"].Accept[0].Notation.Subjects[0]; s.Match(name) != want || s.String() != subject {
			t.Errorf("%q matches: %v, want %v", subject, !want, want)
		}
	}
	two := pkix.Name{Names: append([]pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "somebody"}}, name.Names...)}
	if d, err := policy.Parse("policy.yaml", []byte(vendor+"    accept:\n      - notation:\n          subjects: ['CN=release']\n          roots:\n          - "+cert+"\n")); err != nil {
		t.Error(err)
	} else if d.Publishers["vendor"].Accept[0].Notation.Subjects[0].Match(two) {
		t.Error("somebody who had a second common name put into a certificate matches")
	}
	if (policy.Subject{}).Match(name) {
		t.Error("a subject that nobody wrote matches")
	}
	for _, bad := range []string{"", "CN", "CN=", "=x", "X=1", "CN=a,CN=b", "CN=#0401", "CN=a,"} {
		text := vendor + "    accept:\n      - notation:\n          subjects: ['" + bad + "']\n          roots:\n          - " + cert + "\n"
		if _, err := policy.Parse("policy.yaml", []byte(text)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestJudgeForeign: which signatures of other formats are enough, and what is
// said about them.
func TestJudgeForeign(t *testing.T) {
	missing := fault.Errorf(fault.NotFound, "no cosign signature is in the registry")
	down := fault.Hint(fault.Errorf(fault.Unavailable, "registry is down"), "docker login")
	found := func(role, key string) policy.Foreign {
		return policy.Foreign{Role: role, Format: "cosign", Signer: key, Key: key}
	}
	not := func(role string, err error) policy.Foreign {
		return policy.Foreign{Role: role, Format: "notation", Err: err}
	}
	for name, tt := range map[string]struct {
		roles   string
		found   []policy.Foreign
		expires time.Time
		want    verdict.Class // "" if allowed
		says    string
	}{
		"enough":                          {"[targets]", []policy.Foreign{found("targets", "k1")}, time.Time{}, "", "no freshness"},
		"one of two entries":              {"[targets]", []policy.Foreign{not("targets", missing), found("targets", "k1")}, time.Time{}, "", "no protection against rollback"},
		"none":                            {"[targets]", []policy.Foreign{not("targets", missing)}, time.Time{}, verdict.Evidence, "targets, by notation: no cosign signature"},
		"could not be looked at":          {"[targets]", []policy.Foreign{not("targets", missing), not("targets", down)}, time.Time{}, verdict.Unavailable, "registry is down"},
		"two keys for two roles":          {"[targets, qa]", []policy.Foreign{found("targets", "k1"), found("qa", "k2")}, time.Time{}, "", "qa is a cosign signature by k2"},
		"one key for two roles":           {"[targets, qa]", []policy.Foreign{found("targets", "k1"), found("qa", "k1")}, time.Time{}, verdict.Evidence, "counts once"},
		"a role that nobody has":          {"[security]", []policy.Foreign{found("targets", "k1")}, time.Time{}, verdict.Evidence, "stands for security"},
		"still valid":                     {"[targets]", []policy.Foreign{found("targets", "k1")}, now.Add(time.Second), "", "no name"},
		"expired":                         {"[targets]", []policy.Foreign{found("targets", "k1")}, now, verdict.Evidence, ""},
		"nothing was looked for":          {"[targets]", []policy.Foreign{}, time.Time{}, verdict.Evidence, ""},
		"another role's registry is down": {"[targets]", []policy.Foreign{not("targets", missing), not("qa", down)}, time.Time{}, verdict.Evidence, "targets, by notation: no cosign signature"},
		"an error of another kind":        {"[targets]", []policy.Foreign{not("targets", errors.New("boom"))}, time.Time{}, verdict.Unavailable, "boom"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := policy.Parse("policy.yaml", []byte(vendor+"    accept:\n      - cosign:\n          keys:\n          - "+publicKey(t, p256(t).Public())+
				"\nenvironments:\n  production:\n    signed: {roles: "+tt.roles+"}\n"))
			if err != nil {
				t.Fatal(err)
			}
			f := &policy.Facts{GUN: "registry.example.com/vendor/app", Publisher: "vendor", Digest: "sha256:01"}
			f.SetForeign(tt.found, tt.expires)
			r := d.Judge(t.Context(), now, "production", f)[0]
			if (tt.want == "") != (r.Outcome == verdict.Allowed) || r.Class != tt.want {
				t.Errorf("%+v", r)
			}
			if tt.says != "" && !slices.ContainsFunc(r.Evidence, func(s string) bool { return strings.Contains(s, tt.says) }) {
				t.Errorf("%q is not said: %q", tt.says, r.Evidence)
			}
			if tt.want == verdict.Unavailable && tt.says == "registry is down" && r.Hint == "" {
				t.Error("the hint is lost")
			}
		})
	}
}

func TestExplainAccept(t *testing.T) {
	d, err := policy.Parse("policy.yaml", []byte(vendor+"    accept:\n      - cosign:\n          keys:\n          - "+publicKey(t, p256(t).Public())+
		"\nenvironments:\n  production:\n    signed: {roles: [targets]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if all := strings.Join(d.Explain("production", now), "\n"); !strings.Contains(all, "For images of vendor, a cosign signature stands for the role targets") {
		t.Error(all)
	}
}

func FuzzAccept(f *testing.F) {
	f.Add("CN=release, O=Vendor", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")
	f.Add(`CN=a\,b+OU=c`, "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END PUBLIC KEY-----")
	f.Fuzz(func(t *testing.T, subject, text string) {
		quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
		doc := vendor + "    accept:\n      - cosign: {subjects: [" + quote(subject) + "], roots: [" + quote(text) + "], keys: [" + quote(text) + "]}\n"
		if _, err := policy.Parse("policy.yaml", []byte(doc)); err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("kind of %v", err)
		}
	})
}
