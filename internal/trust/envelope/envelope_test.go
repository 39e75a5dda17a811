package envelope_test

import (
	"crypto"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/key/keytest"
	"plimsoll/internal/oci"
	"plimsoll/internal/trust"
	"plimsoll/internal/trust/envelope"
	"plimsoll/internal/trust/notation"
	"plimsoll/internal/trust/sigstore"
)

func TestParseFormats(t *testing.T) {
	for s, want := range map[string][]string{"none": nil, "sigstore": {"sigstore"}, "notation,sigstore": {"notation", "sigstore"}} {
		got, err := envelope.ParseFormats(s)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v %s", s, err, diff)
		}
	}
	for _, s := range []string{"", "cosign", "sigstore,sigstore", "sigstore,", "none,sigstore"} {
		if got, err := envelope.ParseFormats(s); !fault.Is(err, fault.Usage) {
			t.Errorf("%q: %q, %v", s, got, err)
		}
	}
}

func TestSignaturesAreCounted(t *testing.T) {
	w := newWorld(t, key.ECDSAP256)
	made, err := w.writer.Sign(t.Context(), w.gun, w.key, envelope.Formats, &w.image)
	if want := envelope.Signatures(envelope.Formats, &w.image); err != nil || made != 4 || want != 4 || w.key.Signed != 4 {
		t.Fatalf("made %d, counted %d, asked for %d: %v", made, want, w.key.Signed, err)
	}
	if made, err = w.writer.Sign(t.Context(), w.gun, w.key, envelope.Formats, &w.image); made != 0 || w.key.Signed != 4 || err != nil {
		t.Errorf("again: %d, %v", made, err)
	}
	s, err := w.reader.Cosign(t.Context(), w.gun, w.top, w.anchors())
	if want, _ := key.Fingerprint(w.key.Public()); err != nil || s.Key != want || s.Signer != want || !s.Expires.IsZero() {
		t.Error(s, err)
	}
	s, err = w.reader.Notation(t.Context(), w.gun, w.top, w.authorities())
	if err != nil || s.Signer != "CN=app" || !s.Expires.Equal(w.chain[0].NotAfter) {
		t.Error(s, err)
	}
}

func TestRefusedBeforeAnythingIsSigned(t *testing.T) {
	for name, tt := range map[string]struct {
		algorithm key.Algorithm
		formats   []string
		want      fault.Kind
	}{
		"Ed25519 for notation": {key.Ed25519, []string{envelope.Sigstore, envelope.Notation}, fault.Invalid},
		"unknown format":       {key.ECDSAP256, []string{envelope.Sigstore, "jades"}, fault.Unavailable},
	} {
		w := newWorld(t, tt.algorithm)
		if made, err := w.writer.Sign(t.Context(), w.gun, w.key, tt.formats, &w.image); !fault.Is(err, tt.want) || made != 0 || w.key.Signed != 0 {
			t.Errorf("%s: %d, %v", name, made, err)
		}
	}
	w := newWorld(t, key.Ed25519)
	if made, err := w.writer.Sign(t.Context(), w.gun, w.key, []string{envelope.Sigstore}, &w.image); err != nil || made != 2 {
		t.Errorf("sigstore takes Ed25519: %d, %v", made, err)
	}
}

// TestSimple signs what cosign 3.1.3 wrote in its older form, for our image.
func TestSimple(t *testing.T) {
	w := newWorld(t, key.ECDSAP256)
	payload, err := os.ReadFile("../sigstore/testdata/cosign-simple.json")
	if err != nil {
		t.Fatal(err)
	}
	const theirs = "sha256:6d1f8701d2a695805307009abe99cbe78b0a291fbc9d449308a3d4519acc3fde"
	payload = []byte(strings.Replace(string(payload), theirs, string(w.top.Digest), 1))
	sig, err := w.key.Sign(t.Context(), payload)
	if err != nil {
		t.Fatal(err)
	}
	junk := w.blob(t, []byte("{}"), sigstore.SimpleType)
	layer := w.blob(t, payload, sigstore.SimpleType)
	layer.Annotations = map[string]string{sigstore.AnnotationSig: base64.StdEncoding.EncodeToString(sig)}
	config := w.blob(t, []byte("{}"), v1.MediaTypeImageConfig)
	m := v1.Manifest{Config: config, Layers: []v1.Descriptor{junk, layer}}
	w.pushTag(t, sigstore.SimpleTag(w.top.Digest), m)
	if s, err := w.reader.Cosign(t.Context(), w.gun, w.top, w.anchors()); err != nil || s.Key == "" {
		t.Fatal(s, err)
	}
	other := sigstore.Anchors{Keys: []crypto.PublicKey{keytest.New(t, key.ECDSAP256).Public()}, Now: now}
	if _, err := w.reader.Cosign(t.Context(), w.gun, w.top, other); !fault.Is(err, fault.Untrusted) {
		t.Errorf("another key: %v", err)
	}
	m.Layers = slices.Repeat([]v1.Descriptor{junk}, 101)
	w.pushTag(t, sigstore.SimpleTag(w.top.Digest), m)
	if _, err := w.reader.Cosign(t.Context(), w.gun, w.top, w.anchors()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("more than are looked at: %v", err)
	}
}

// TestHostileRegistry: what cannot be looked at is never "not signed", and junk
// beside a good signature does not hide it.
func TestHostileRegistry(t *testing.T) {
	good := func(t *testing.T, w *world) {
		t.Helper()
		if _, err := w.writer.Sign(t.Context(), w.gun, w.key, envelope.Formats, &w.image); err != nil {
			t.Fatal(err)
		}
	}
	junk := func(mediaType string, n int) func(*testing.T, *world) {
		return func(t *testing.T, w *world) {
			t.Helper()
			for i := range n {
				w.attach(t, oci.Artifact{Type: sigstore.ArtifactType, MediaType: mediaType, Content: fmt.Appendf(nil, `{"mediaType":%q,"n":%d}`, sigstore.ArtifactType, i)})
				w.attach(t, oci.Artifact{Type: notation.ArtifactType, MediaType: notation.MediaTypeJWS, Content: fmt.Appendf(nil, `{"n":%d}`, i)})
			}
		}
	}
	referrers := func(status int) func(*testing.T, *world) {
		return func(_ *testing.T, w *world) {
			w.before = func(rw http.ResponseWriter, r *http.Request) bool {
				if strings.Contains(r.URL.Path, "/referrers/") {
					rw.WriteHeader(status)
					return true
				}
				return false
			}
		}
	}
	page := func(link, body string) func(*testing.T, *world) {
		return func(_ *testing.T, w *world) {
			w.before = func(rw http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/referrers/") || r.URL.RawQuery != "" {
					if r.URL.RawQuery != "" {
						rw.WriteHeader(http.StatusNotFound)
					}
					return r.URL.RawQuery != ""
				}
				rw.Header().Set("Content-Type", v1.MediaTypeImageIndex)
				rw.Header().Set("Link", link)
				fmt.Fprint(rw, body)
				return true
			}
		}
	}
	empty := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`
	for name, tt := range map[string]struct {
		steps []func(*testing.T, *world)
		want  fault.Kind // Internal: accepted
	}{
		"signed":                          {[]func(*testing.T, *world){good}, 0},
		"nothing":                         {nil, fault.NotFound},
		"junk":                            {[]func(*testing.T, *world){junk(sigstore.ArtifactType, 3)}, fault.Untrusted},
		"junk before the good":            {[]func(*testing.T, *world){junk(sigstore.ArtifactType, 3), good}, 0},
		"junk after the good":             {[]func(*testing.T, *world){good, junk(sigstore.ArtifactType, 3)}, 0},
		"a flood":                         {[]func(*testing.T, *world){junk(sigstore.ArtifactType, 101)}, fault.Unavailable},
		"500":                             {[]func(*testing.T, *world){good, referrers(500)}, fault.Unavailable},
		"429":                             {[]func(*testing.T, *world){good, referrers(429)}, fault.Unavailable},
		"401":                             {[]func(*testing.T, *world){good, referrers(401)}, fault.Unavailable},
		"the rest of the list is missing": {[]func(*testing.T, *world){good, page(`</v2/team/app/referrers/x?page=2>; rel="next"`, empty)}, fault.Unavailable},
		"a link that is not understood":   {[]func(*testing.T, *world){good, page(`<https://registry.example.com/>; rel=last`, empty)}, fault.Unavailable},
		"a list that is none":             {[]func(*testing.T, *world){good, page("", "x")}, fault.Unavailable},
		"listed and gone": {[]func(*testing.T, *world){good, func(_ *testing.T, w *world) {
			w.before = func(rw http.ResponseWriter, r *http.Request) bool {
				gone := strings.Contains(r.URL.Path, "/blobs/")
				if gone {
					rw.WriteHeader(http.StatusNotFound)
				}
				return gone
			}
		}}, fault.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, key.ECDSAP256)
			for _, step := range tt.steps {
				step(t, w)
			}
			_, byCosign := w.reader.Cosign(t.Context(), w.gun, w.top, w.anchors())
			_, byNotation := w.reader.Notation(t.Context(), w.gun, w.top, w.authorities())
			for format, err := range map[string]error{"cosign": byCosign, "notation": byNotation} {
				if tt.want == fault.Internal && err != nil || tt.want != fault.Internal && !fault.Is(err, tt.want) {
					t.Errorf("%s: got %v, want %v", format, err, tt.want)
				}
			}
		})
	}
}

// TestMovedSignature: a good signature of another image, listed for this one.
func TestMovedSignature(t *testing.T) {
	w := newWorld(t, key.ECDSAP256)
	other := w.image.Platforms[0].Manifest
	b, err := sigstore.Sign(t.Context(), w.key, other)
	if err != nil {
		t.Fatal(err)
	}
	w.attach(t, oci.Artifact{Type: sigstore.ArtifactType, MediaType: sigstore.ArtifactType, Content: b})
	if _, err := w.reader.Cosign(t.Context(), w.gun, w.top, w.anchors()); !fault.Is(err, fault.Untrusted) {
		t.Error(err)
	}
	good := w.attach(t, oci.Artifact{Type: sigstore.ArtifactType, MediaType: sigstore.ArtifactType, Content: b})
	w.before = func(rw http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/referrers/"+string(other)) {
			return false
		}
		rw.Header().Set("Content-Type", v1.MediaTypeImageIndex)
		fmt.Fprintf(rw, `{"schemaVersion":2,"mediaType":%q,"manifests":[{"mediaType":%q,"digest":%q,"size":%d}]}`, v1.MediaTypeImageIndex, good.MediaType, good.Digest, good.Size)
		return true
	}
	subject := v1.Descriptor{Digest: other}
	if _, err := w.reader.Cosign(t.Context(), w.gun, subject, w.anchors()); !fault.Is(err, fault.Untrusted) || !strings.Contains(err.Error(), "about something else") {
		t.Errorf("a referrer of another image: %v", err)
	}
}

func TestAttestations(t *testing.T) {
	w := newWorld(t, key.ECDSAP256)
	const kind = "https://example.com/review/v1"
	second := keytest.New(t, key.Ed25519)
	state := func(signer key.Signer, text string) bool {
		t.Helper()
		s, err := sigstore.NewStatement("app", w.top.Digest, kind, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		did, err := w.writer.Attest(t.Context(), w.gun, signer, w.top, s)
		if err != nil {
			t.Fatal(err)
		}
		return did
	}
	if !state(w.key, `{"good":true}`) || state(w.key, `{"good":true}`) || !state(second, `{"good":true}`) || !state(second, `{"good":false}`) || !state(keytest.New(t, key.ECDSAP256), `{"good":true}`) {
		t.Error("each key states each thing once")
	}
	roles := []trust.Speaker{{Role: "targets", Threshold: 2}, {Role: "qa", Threshold: 1}, {Role: "never", Threshold: 0}}
	for i, signers := range [][]key.Signer{{w.key, second}, {second}} {
		for _, s := range signers {
			k, err := trust.NewKey(s.Public())
			if err != nil {
				t.Fatal(err)
			}
			roles[i].Keys = append(roles[i].Keys, k)
		}
	}
	all, err := w.reader.Attestations(t.Context(), w.gun, w.top, kind, envelope.AnchorsOf(roles))
	if !fault.Is(err, fault.Untrusted) { // somebody else's
		t.Fatal(err)
	}
	by := map[string][]string{}
	for i := range all {
		by[string(all[i].Statement.Predicate)] = all[i].By(roles)
	}
	want := map[string][]string{`{"good":true}`: {"targets", "qa"}, `{"good":false}`: {"qa"}}
	if diff := cmp.Diff(want, by); diff != "" {
		t.Error(diff)
	}
	if _, err := w.reader.Cosign(t.Context(), w.gun, w.top, w.anchors()); !fault.Is(err, fault.NotFound) {
		t.Errorf("a statement is not a signature: %v", err)
	}
	if _, err := w.reader.Attestations(t.Context(), w.gun, w.top, "https://example.com/other", w.anchors()); !fault.Is(err, fault.NotFound) {
		t.Errorf("another type: %v", err)
	}
}

// TestManyStatementsHideNoSignature: a scan that is stated each night does not use
// up what is looked at for a signature, or for a statement of another type.
func TestManyStatementsHideNoSignature(t *testing.T) {
	w := newWorld(t, key.ECDSAP256)
	const kind = "https://example.com/review/v1"
	for i := range 101 {
		w.attach(t, oci.Artifact{
			Type: sigstore.ArtifactType, MediaType: sigstore.ArtifactType, Content: fmt.Appendf(nil, `{"n":%d}`, i),
			Annotations: map[string]string{sigstore.AnnotationPredicateType: "https://example.com/scan/v1"},
		})
	}
	s, err := sigstore.NewStatement("app", w.top.Digest, kind, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.reader.Cosign(t.Context(), w.gun, w.top, w.anchors()); !fault.Is(err, fault.NotFound) {
		t.Errorf("not signed: %v", err)
	}
	if _, err := w.writer.Attest(t.Context(), w.gun, w.key, w.top, s); err != nil {
		t.Fatal(err)
	}
	if _, err := w.writer.Sign(t.Context(), w.gun, w.key, []string{envelope.Sigstore}, &w.image); err != nil {
		t.Fatal(err)
	}
	if _, err := w.reader.Cosign(t.Context(), w.gun, w.top, w.anchors()); err != nil {
		t.Errorf("signed: %v", err)
	}
	if all, err := w.reader.Attestations(t.Context(), w.gun, w.top, kind, w.anchors()); err != nil || len(all) != 1 {
		t.Errorf("stated: %d, %v", len(all), err)
	}
}
