package notation_test

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/key/keytest"
	"plimsoll/internal/trust/codesign"
	"plimsoll/internal/trust/notation"
)

var (
	now   = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	image = v1.Descriptor{
		MediaType: v1.MediaTypeImageIndex, Size: 517,
		Digest: "sha256:83380417db54db2546e15afbd6a0f19e1f86665de068b39ce6ff54427112fede",
	}
)

func certified(t testing.TB) (*keytest.Signer, []*x509.Certificate, codesign.Authorities) {
	t.Helper()
	signer := keytest.New(t, key.ECDSAP256)
	c, err := codesign.SelfSigned(t.Context(), signer, "app", now)
	if err != nil {
		t.Fatal(err)
	}
	chain := []*x509.Certificate{c}
	return signer, chain, codesign.Authorities{Roots: chain, Subject: func(n pkix.Name) bool { return n.CommonName == "app" }}
}

func TestSignAndVerify(t *testing.T) {
	signer, chain, believed := certified(t)
	signer.Signed = 0
	b, err := notation.Sign(t.Context(), signer, chain, image, now)
	if err != nil || signer.Signed != 1 {
		t.Fatal(signer.Signed, err)
	}
	v, err := notation.Verify(notation.MediaTypeJWS, b, image, believed, now)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(now, v.Signed); diff != "" || !v.Expires.Equal(chain[0].NotAfter) {
		t.Error(diff, v.Expires)
	}
	small, typed := image, image
	small.Size--
	typed.MediaType = v1.MediaTypeImageManifest
	other := image
	other.Digest = "sha256:6d1f8701d2a695805307009abe99cbe78b0a291fbc9d449308a3d4519acc3fde"
	for name, d := range map[string]v1.Descriptor{"size": small, "media type": typed, "digest": other} {
		if _, err := notation.Verify(notation.MediaTypeJWS, b, d, believed, now); !fault.Is(err, fault.Untrusted) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	_, _, strangers := certified(t)
	for name, err := range map[string]error{
		"a stranger":       second(notation.Verify(notation.MediaTypeJWS, b, image, strangers, now)),
		"nobody":           second(notation.Verify(notation.MediaTypeJWS, b, image, codesign.Authorities{}, now)),
		"too late":         second(notation.Verify(notation.MediaTypeJWS, b, image, believed, now.AddDate(20, 0, 0))),
		"another type":     second(notation.Verify("application/json", b, image, believed, now)),
		"huge":             second(notation.Verify(notation.MediaTypeJWS, make([]byte, notation.MaxEnvelope+1), image, believed, now)),
		"something behind": second(notation.Verify(notation.MediaTypeJWS, append(append([]byte{}, b...), '{', '}'), image, believed, now)),
	} {
		if !fault.Is(err, fault.Untrusted) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := notation.Verify(notation.MediaTypeCOSE, b, image, believed, now); !fault.Is(err, fault.Unavailable) {
		t.Errorf("COSE: %v", err)
	}
}

func second(_ *notation.Verified, err error) error { return err }

// TestHostileEnvelopes are envelopes with a good signature that say something
// else than they should.
func TestHostileEnvelopes(t *testing.T) {
	signer, chain, believed := certified(t)
	protected := map[string]any{
		"alg": "ES256", "cty": notation.PayloadType, "crit": []string{"io.cncf.notary.signingScheme"},
		"io.cncf.notary.signingScheme": "notary.x509", "io.cncf.notary.signingTime": now,
	}
	with := func(changes ...any) map[string]any {
		p := map[string]any{}
		for k, v := range protected {
			p[k] = v
		}
		for i := 0; i < len(changes); i += 2 {
			if p[changes[i].(string)] = changes[i+1]; changes[i+1] == nil {
				delete(p, changes[i].(string))
			}
		}
		return p
	}
	payload := `{"targetArtifact":{"mediaType":"` + image.MediaType + `","digest":"` + string(image.Digest) + `","size":517}}`
	for name, tt := range map[string]struct {
		protected map[string]any
		payload   string
		want      fault.Kind // Internal: accepted
	}{
		"as it should be":       {protected, payload, 0},
		"with metadata":         {protected, strings.Replace(payload, `"size"`, `"annotations":{"a":"b"},"size"`, 1), 0},
		"expires later":         {with("io.cncf.notary.expiry", now.Add(time.Hour), "crit", []string{"io.cncf.notary.signingScheme", "io.cncf.notary.expiry"}), payload, 0},
		"expired":               {with("io.cncf.notary.expiry", now, "crit", []string{"io.cncf.notary.signingScheme", "io.cncf.notary.expiry"}), payload, fault.Untrusted},
		"expiry not critical":   {with("io.cncf.notary.expiry", now.Add(time.Hour)), payload, fault.Untrusted},
		"scheme not critical":   {with("crit", []string{}), payload, fault.Untrusted},
		"plugin":                {with("crit", []string{"io.cncf.notary.signingScheme", "io.cncf.notary.verificationPlugin"}), payload, fault.Unavailable},
		"signing authority":     {with("io.cncf.notary.signingScheme", "notary.x509.signingAuthority"), payload, fault.Unavailable},
		"authentic time":        {with("io.cncf.notary.authenticSigningTime", now), payload, fault.Unavailable},
		"payload type":          {with("cty", "application/json"), payload, fault.Untrusted},
		"no time":               {with("io.cncf.notary.signingTime", nil), payload, fault.Untrusted},
		"signed before the key": {with("io.cncf.notary.signingTime", now.AddDate(-1, 0, 0)), payload, fault.Untrusted},
		"none":                  {with("alg", "none"), payload, fault.Untrusted},
		"HMAC":                  {with("alg", "HS256"), payload, fault.Untrusted},
		"another curve":         {with("alg", "ES384"), payload, fault.Untrusted},
		"RSA":                   {with("alg", "PS256"), payload, fault.Untrusted},
		"capitals":              {with("ALG", "ES256"), payload, fault.Untrusted},
		"payload twice":         {protected, strings.Replace(payload, `"digest"`, `"digest":"x","digest"`, 1), fault.Untrusted},
		"payload not JSON":      {protected, "x", fault.Untrusted},
		"payload empty":         {protected, "{}", fault.Untrusted},
	} {
		t.Run(name, func(t *testing.T) {
			b := seal(t, signer, chain, tt.protected, tt.payload)
			_, err := notation.Verify(notation.MediaTypeJWS, b, image, believed, now)
			if tt.want == fault.Internal && err != nil || tt.want != fault.Internal && !fault.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// seal signs headers and payload as they are.
func seal(t testing.TB, signer *keytest.Signer, chain []*x509.Certificate, protected map[string]any, payload string) []byte {
	t.Helper()
	head, err := json.Marshal(protected)
	if err != nil {
		t.Fatal(err)
	}
	e := map[string]any{
		"protected": base64.RawURLEncoding.EncodeToString(head), "payload": base64.RawURLEncoding.EncodeToString([]byte(payload)),
		"header": map[string]any{"x5c": [][]byte{chain[0].Raw}},
	}
	der, err := signer.Sign(t.Context(), []byte(e["protected"].(string)+"."+e["payload"].(string)))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := notation.RawSignature(der)
	if err != nil {
		t.Fatal(err)
	}
	e["signature"] = base64.RawURLEncoding.EncodeToString(raw)
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestUnusable(t *testing.T) {
	signer, chain, _ := certified(t)
	_, others, _ := certified(t)
	ed := keytest.New(t, key.Ed25519)
	for name, err := range map[string]error{
		"Ed25519":         notation.Usable(ed, chain),
		"another's":       notation.Usable(signer, others),
		"none":            notation.Usable(signer, nil),
		"not valid yet":   third(notation.Sign(t.Context(), signer, chain, image, now.AddDate(-1, 0, 0))),
		"no longer valid": third(notation.Sign(t.Context(), signer, chain, image, now.AddDate(11, 0, 0))),
	} {
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if fault.HintOf(notation.Usable(ed, chain)) == "" {
		t.Error("no hint for Ed25519")
	}
}

func third(_ []byte, err error) error { return err }

func TestRawSignature(t *testing.T) {
	for name, der := range map[string][]byte{
		"empty": nil, "not DER": []byte("x"), "something behind": {0x30, 6, 2, 1, 1, 2, 1, 1, 0}, "zero": {0x30, 6, 2, 1, 0, 2, 1, 1},
		"too long": append([]byte{0x30, 38, 2, 33, 1}, append(make([]byte, 32), 2, 1, 1)...),
	} {
		if raw, err := notation.RawSignature(der); err == nil {
			t.Errorf("%s: %x", name, raw)
		}
	}
	raw, err := notation.RawSignature([]byte{0x30, 6, 2, 1, 1, 2, 1, 2})
	if err != nil || len(raw) != 64 || raw[31] != 1 || raw[63] != 2 {
		t.Errorf("%x, %v", raw, err)
	}
}

func FuzzVerify(f *testing.F) {
	signer, chain, believed := certified(f)
	good, err := notation.Sign(f.Context(), signer, chain, image, now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"payload":"","protected":"e30","header":{"x5c":[]},"signature":""}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := notation.Verify(notation.MediaTypeJWS, b, image, believed, now)
		if err != nil && !fault.Is(err, fault.Untrusted) && !fault.Is(err, fault.Unavailable) {
			t.Errorf("kind of %v", err)
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
	b, err := notation.Sign(context.Background(), signer, []*x509.Certificate{c}, image, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	believed := codesign.Authorities{Roots: []*x509.Certificate{c}, Subject: func(pkix.Name) bool { return true }}
	v, err := notation.Verify(notation.MediaTypeJWS, b, image, believed, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(v.Signer.Subject)
	// Output: CN=registry.example.com/team/app
}
