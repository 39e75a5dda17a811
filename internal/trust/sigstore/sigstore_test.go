package sigstore_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/key/keytest"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust/codesign"
	"plimsoll/internal/trust/sigstore"
)

// The image that cosign 3.1.3 signed, with cosign.pub's key and with a
// certificate from ca.crt, for the files in testdata.
const (
	multi = ref.Digest("sha256:83380417db54db2546e15afbd6a0f19e1f86665de068b39ce6ff54427112fede")
	one   = ref.Digest("sha256:6d1f8701d2a695805307009abe99cbe78b0a291fbc9d449308a3d4519acc3fde")
	slsa  = "https://slsa.dev/provenance/v1"
)

var then = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

func file(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func cosignKey(t testing.TB) sigstore.Anchors {
	t.Helper()
	block, _ := pem.Decode(file(t, "cosign.pub"))
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return sigstore.Anchors{Keys: []crypto.PublicKey{pub}, Now: then}
}

func cosignCA(t testing.TB, subject string, now time.Time) sigstore.Anchors {
	t.Helper()
	roots, err := codesign.ParsePEM(file(t, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	return sigstore.Anchors{Now: now, Authorities: codesign.Authorities{Roots: roots, Subject: func(n pkix.Name) bool { return n.CommonName == subject }}}
}

// TestCosign reads what cosign itself wrote.
func TestCosign(t *testing.T) {
	later := time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)
	other := sigstore.Anchors{Keys: []crypto.PublicKey{keytest.New(t, key.ECDSAP256).Public()}, Now: then}
	for name, tt := range map[string]struct {
		file      string
		digest    ref.Digest
		predicate string
		anchors   sigstore.Anchors
		want      fault.Kind // Internal: accepted
	}{
		"key":                            {"cosign-sign.json", multi, sigstore.SignPredicate, cosignKey(t), 0},
		"attestation":                    {"cosign-attest.json", multi, slsa, cosignKey(t), 0},
		"certificate":                    {"cosign-certificate.json", multi, sigstore.SignPredicate, cosignCA(t, "release", then), 0},
		"another key":                    {"cosign-sign.json", multi, sigstore.SignPredicate, other, fault.Untrusted},
		"no key":                         {"cosign-sign.json", multi, sigstore.SignPredicate, sigstore.Anchors{Now: then}, fault.Untrusted},
		"another image":                  {"cosign-sign.json", one, sigstore.SignPredicate, cosignKey(t), fault.Untrusted},
		"an attestation is no signature": {"cosign-attest.json", multi, sigstore.SignPredicate, cosignKey(t), fault.Untrusted},
		"a signature is no attestation":  {"cosign-sign.json", multi, slsa, cosignKey(t), fault.Untrusted},
		"another subject":                {"cosign-certificate.json", multi, sigstore.SignPredicate, cosignCA(t, "intern", then), fault.Untrusted},
		"expired certificate":            {"cosign-certificate.json", multi, sigstore.SignPredicate, cosignCA(t, "release", later), fault.Untrusted},
		"certificate without a root":     {"cosign-certificate.json", multi, sigstore.SignPredicate, cosignKey(t), fault.Untrusted},
		"key where roots are believed":   {"cosign-sign.json", multi, sigstore.SignPredicate, cosignCA(t, "release", then), fault.Untrusted},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := sigstore.Verify(file(t, tt.file), tt.digest, tt.predicate, tt.anchors)
			if tt.want == fault.Internal {
				if err != nil || v.Statement.PredicateType != tt.predicate {
					t.Fatal(v, err)
				}
				return
			}
			if !fault.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestCosignSimple(t *testing.T) {
	var m v1.Manifest
	if err := json.Unmarshal(file(t, "cosign-simple-manifest.json"), &m); err != nil {
		t.Fatal(err)
	}
	layer, payload := m.Layers[0], file(t, "cosign-simple.json")
	if _, err := sigstore.VerifySimple(layer, payload, one, cosignKey(t)); err != nil {
		t.Fatal(err)
	}
	if sigstore.SimpleTag(one) != "sha256-"+one.Encoded()+".sig" {
		t.Error(sigstore.SimpleTag(one))
	}
	altered := layer
	altered.Annotations = map[string]string{sigstore.AnnotationSig: "MEUCIQ=="}
	bare := layer
	bare.Annotations = nil
	typed := layer
	typed.MediaType = "application/json"
	other := sigstore.Anchors{Keys: []crypto.PublicKey{keytest.New(t, key.ECDSAP256).Public()}}
	for name, err := range map[string]error{
		"another image":     second(sigstore.VerifySimple(layer, payload, multi, cosignKey(t))),
		"another key":       second(sigstore.VerifySimple(layer, payload, one, other)),
		"altered payload":   second(sigstore.VerifySimple(layer, []byte(strings.Replace(string(payload), "null", "{}", 1)), one, cosignKey(t))),
		"altered signature": second(sigstore.VerifySimple(altered, payload, one, cosignKey(t))),
		"no signature":      second(sigstore.VerifySimple(bare, payload, one, cosignKey(t))),
		"another type":      second(sigstore.VerifySimple(typed, payload, one, cosignKey(t))),
		"huge":              second(sigstore.VerifySimple(layer, make([]byte, sigstore.MaxSimple+1), one, cosignKey(t))),
	} {
		if !fault.Is(err, fault.Untrusted) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second(_ sigstore.Signer, err error) error { return err }

// TestSimpleSays signs payloads that say something else than an image's digest.
func TestSimpleSays(t *testing.T) {
	signer := keytest.New(t, key.Ed25519)
	for name, payload := range map[string]string{
		"type":      `{"critical":{"image":{"docker-manifest-digest":"` + string(one) + `"},"type":"atomic container signature"}}`,
		"twice":     `{"critical":{"image":{"docker-manifest-digest":"` + string(one) + `","docker-manifest-digest":"` + string(multi) + `"},"type":"cosign container image signature"}}`,
		"letters":   `{"critical":{"image":{"Docker-Manifest-Digest":"` + string(one) + `"},"type":"cosign container image signature"}}`,
		"not JSON":  `x`,
		"no digest": `{"critical":{"type":"cosign container image signature"}}`,
	} {
		sig, err := signer.Sign(t.Context(), []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		layer := v1.Descriptor{MediaType: sigstore.SimpleType, Annotations: map[string]string{sigstore.AnnotationSig: encode(sig)}}
		_, err = sigstore.VerifySimple(layer, []byte(payload), one, sigstore.Anchors{Keys: []crypto.PublicKey{signer.Public()}})
		if !fault.Is(err, fault.Untrusted) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func encode(b []byte) string {
	text, _ := json.Marshal(b)
	return strings.Trim(string(text), `"`)
}

// TestHostileBundles are bundles that nobody should believe, or that this program
// must say it cannot read.
func TestHostileBundles(t *testing.T) {
	signer := keytest.New(t, key.ECDSAP256)
	anchors := sigstore.Anchors{Keys: []crypto.PublicKey{signer.Public()}, Now: then}
	good, err := sigstore.Sign(t.Context(), signer, multi)
	if err != nil || signer.Signed != 1 {
		t.Fatal(signer.Signed, err)
	}
	if _, err := sigstore.Verify(good, multi, sigstore.SignPredicate, anchors); err != nil {
		t.Fatal(err)
	}
	replace := func(old, with string) []byte {
		out := strings.Replace(string(good), old, with, 1)
		if out == string(good) {
			t.Fatalf("%q is not in %s", old, good)
		}
		return []byte(out)
	}
	for name, tt := range map[string]struct {
		bundle []byte
		want   fault.Kind
	}{
		"unknown version":     {replace("bundle.v0.3+json", "bundle.v0.4+json"), fault.Unavailable},
		"another media type":  {replace("application/vnd.dev.sigstore.bundle.v0.3+json", "application/json"), fault.Unavailable},
		"payload type":        {replace("application/vnd.in-toto+json", "application/vnd.in-toto2json"), fault.Untrusted},
		"two signatures":      {replace(`"signatures":[`, `"signatures":[{"sig":"AAAA"},`), fault.Untrusted},
		"no signature":        {replace(`"signatures":[{`, `"signatures":[],"x":[{`), fault.Untrusted},
		"field twice":         {replace(`"dsseEnvelope":`, `"dsseEnvelope":{},"dsseEnvelope":`), fault.Untrusted},
		"field in capitals":   {replace(`"payload":`, `"Payload":`), fault.Untrusted},
		"message signature":   {replace(`"dsseEnvelope":`, `"messageSignature":{},"dsseEnvelope":`), fault.Untrusted},
		"key and certificate": {replace(`"publicKey":`, `"certificate":{"rawBytes":"AAAA"},"publicKey":`), fault.Untrusted},
		"neither":             {replace(`"publicKey":`, `"publicKeys":`), fault.Untrusted},
		"bad certificate":     {replace(`"publicKey":{"hint"`, `"certificate":{"rawBytes":"AAAA"},"other":{"hint"`), fault.Untrusted},
		"empty chain":         {replace(`"publicKey":{"hint"`, `"x509CertificateChain":{"certificates":[]},"other":{"hint"`), fault.Untrusted},
		"more behind it":      {append(append([]byte{}, good...), "{}"...), fault.Untrusted},
		"not JSON":            {[]byte("x"), fault.Untrusted},
		"empty":               {nil, fault.Untrusted},
	} {
		if _, err := sigstore.Verify(tt.bundle, multi, sigstore.SignPredicate, anchors); !fault.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
	if _, err := sigstore.Verify(make([]byte, sigstore.MaxAttestation+1), multi, sigstore.SignPredicate, anchors); !fault.Is(err, fault.Untrusted) {
		t.Errorf("huge: %v", err)
	}
}

// TestCertificateOfABelievedKey: a certificate for a key that is believed adds
// nothing to it and takes nothing away.
func TestCertificateOfABelievedKey(t *testing.T) {
	signer := keytest.New(t, key.ECDSAP256)
	c, err := codesign.SelfSigned(t.Context(), signer, "x", then)
	if err != nil {
		t.Fatal(err)
	}
	b, err := sigstore.Sign(t.Context(), signer, multi)
	if err != nil {
		t.Fatal(err)
	}
	b = []byte(strings.Replace(string(b), `"publicKey":{`, `"certificate":{"rawBytes":"`+encode(c.Raw)+`"},"unused":{`, 1))
	v, err := sigstore.Verify(b, multi, sigstore.SignPredicate, sigstore.Anchors{Keys: []crypto.PublicKey{signer.Public()}, Now: then})
	if err != nil || v.Signer.Certificate != nil {
		t.Error(v, err)
	}
	_, err = sigstore.Verify(b, multi, sigstore.SignPredicate, cosignCA(t, "x", then))
	if !fault.Is(err, fault.Untrusted) {
		t.Errorf("signed by itself: %v", err)
	}
}

func TestStatements(t *testing.T) {
	for name, tt := range map[string]struct{ kind, predicate string }{
		"no URI":            {"slsa", "{}"},
		"not an object":     {slsa, "[]"},
		"not JSON":          {slsa, "{"},
		"more behind it":    {slsa, "{} {}"},
		"a whole statement": {slsa, `{"_type":"x","predicateType":"y"}`},
		"a field twice":     {slsa, `{"a":1,"a":2}`},
		"a signature":       {sigstore.SignPredicate, "{}"},
	} {
		if _, err := sigstore.NewStatement("app", one, tt.kind, []byte(tt.predicate)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	signer := keytest.New(t, key.ECDSAP256)
	predicate := `{"z":"<&>","a":[1,{"Subject":1}]}`
	s, err := sigstore.NewStatement("app", one, slsa, []byte(predicate))
	if err != nil {
		t.Fatal(err)
	}
	b, err := sigstore.Attest(t.Context(), signer, s)
	if err != nil {
		t.Fatal(err)
	}
	v, err := sigstore.Verify(b, one, slsa, sigstore.Anchors{Keys: []crypto.PublicKey{signer.Public()}})
	if err != nil || string(v.Statement.Predicate) != predicate {
		t.Errorf("%s, %v", v.Statement.Predicate, err)
	}
}

// TestSubjectThatReadersDisagreeAbout: the signature is good, and what it is about
// depends on who reads it.
func TestSubjectThatReadersDisagreeAbout(t *testing.T) {
	signer := keytest.New(t, key.ECDSAP256)
	anchors := sigstore.Anchors{Keys: []crypto.PublicKey{signer.Public()}}
	for subject, good := range map[string]bool{
		`{"digest":{"sha256":%q}}`:                                         true,
		`{"digest":{"sha256":"00"},"digest":{"sha256":%q}}`:                false,
		`{"digest":{"sha256":"00","sha256":%q}}`:                           false,
		"{\"digest\":{\"sha256\":\"00\"},\"dige\u017ft\":{\"sha256\":%q}}": false,
	} {
		statement := fmt.Appendf(nil, `{"_type":%q,"subject":[%s],"predicateType":%q,"predicate":{}}`, sigstore.StatementV1, fmt.Sprintf(subject, one.Encoded()), slsa)
		sig, err := signer.Sign(t.Context(), fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(sigstore.PayloadType), sigstore.PayloadType, len(statement), statement))
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(map[string]any{
			"mediaType": sigstore.ArtifactType, "verificationMaterial": map[string]any{"publicKey": map[string]string{"hint": ""}},
			"dsseEnvelope": map[string]any{"payload": statement, "payloadType": sigstore.PayloadType, "signatures": []any{map[string]any{"sig": sig}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sigstore.Verify(b, one, slsa, anchors); good != (err == nil) || !good && !fault.Is(err, fault.Untrusted) {
			t.Errorf("%s: %v", subject, err)
		}
	}
}

// liar signs something else.
type liar struct{ *keytest.Signer }

func (l liar) Sign(ctx context.Context, _ []byte) ([]byte, error) {
	return l.Signer.Sign(ctx, []byte("something else"))
}

// TestTokenThatLies: what does not verify is not written.
func TestTokenThatLies(t *testing.T) {
	if _, err := sigstore.Sign(t.Context(), liar{keytest.New(t, key.ECDSAP256)}, one); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
}

func FuzzVerify(f *testing.F) {
	for _, name := range []string{"cosign-sign.json", "cosign-attest.json", "cosign-certificate.json"} {
		f.Add(file(f, name))
	}
	anchors := cosignCA(f, "release", then)
	anchors.Keys = cosignKey(f).Keys
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := sigstore.Verify(b, multi, sigstore.SignPredicate, anchors)
		if err == nil && v.Statement.PredicateType != sigstore.SignPredicate {
			t.Error("accepted a statement of another type")
		}
		if err != nil && !fault.Is(err, fault.Untrusted) && !fault.Is(err, fault.Unavailable) {
			t.Errorf("kind of %v", err)
		}
	})
}

func FuzzVerifySimple(f *testing.F) {
	f.Add("MEUCIQDGkz6lWN//8heQ804IoDhyHU08itRx4FHQa+0XxH3uGAIgZIlBhw7XBNaMs/C8sQ/pC0bWQcRm55IhYuks3Fqr62A=", file(f, "cosign-simple.json"))
	anchors := cosignKey(f)
	f.Fuzz(func(t *testing.T, sig string, payload []byte) {
		layer := v1.Descriptor{MediaType: sigstore.SimpleType, Annotations: map[string]string{sigstore.AnnotationSig: sig}}
		if _, err := sigstore.VerifySimple(layer, payload, multi, anchors); !fault.Is(err, fault.Untrusted) {
			t.Errorf("accepted: %v", err)
		}
	})
}

func Example() {
	signer := keytest.New(&testing.T{}, key.ECDSAP256)
	image := ref.Digest("sha256:83380417db54db2546e15afbd6a0f19e1f86665de068b39ce6ff54427112fede")
	b, err := sigstore.Sign(context.Background(), signer, image)
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := sigstore.Verify(b, image, sigstore.SignPredicate, sigstore.Anchors{Keys: []crypto.PublicKey{signer.Public()}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(v.Statement.PredicateType)
	// Output: https://sigstore.dev/cosign/sign/v1
}
