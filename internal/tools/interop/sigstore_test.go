package interop

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust/envelope"
	"plimsoll/internal/trust/sigstore"
)

// theirs verifies a bundle with sigstore-go: the key is pub, the transparency log
// is left out, as cosign does with --insecure-ignore-tlog.
func theirs(b []byte, pub crypto.PublicKey, d ref.Digest) (*verify.VerificationResult, error) {
	var parsed bundle.Bundle
	if err := parsed.UnmarshalJSON(b); err != nil {
		return nil, err
	}
	v, err := signature.LoadVerifier(pub, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	material := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
		return root.NewExpiringKey(v, time.Time{}, time.Time{}), nil
	})
	verifier, err := verify.NewVerifier(material, verify.WithNoObserverTimestamps())
	if err != nil {
		return nil, err
	}
	sum, err := hex.DecodeString(d.Encoded())
	if err != nil {
		return nil, err
	}
	return verifier.Verify(&parsed, verify.NewPolicy(verify.WithArtifactDigest("sha256", sum), verify.WithKey()))
}

// bundles returns the content of every bundle that the registry lists for d.
func (w *world) bundles(t *testing.T, d ref.Digest) [][]byte {
	t.Helper()
	list, err := w.oci.Referrers(t.Context(), w.gun.Reference().WithDigest(d), "")
	if err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	for _, one := range list {
		m, err := w.oci.ArtifactManifest(t.Context(), w.gun, d, one)
		if err != nil {
			t.Fatal(err)
		}
		if m.ArtifactType != sigstore.ArtifactType {
			continue
		}
		b, err := w.oci.ArtifactContent(t.Context(), w.gun, m, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

func TestSigstoreReadsOurs(t *testing.T) {
	for _, a := range []key.Algorithm{key.ECDSAP256, key.Ed25519} {
		each(t, a, func(t *testing.T, w *world) {
			formats := []string{envelope.Sigstore}
			made, err := w.writer.Sign(t.Context(), w.gun, w.key, formats, &w.image)
			if err != nil || made != envelope.Signatures(formats, &w.image) || made != 3 {
				t.Fatalf("made %d: %v", made, err)
			}
			if again, err := w.writer.Sign(t.Context(), w.gun, w.key, formats, &w.image); err != nil || again != 0 {
				t.Errorf("signed %d again: %v", again, err)
			}
			for _, d := range w.subjects(t) {
				all := w.bundles(t, d.Digest)
				if len(all) != 1 {
					t.Fatalf("%d bundles of %s", len(all), d.Digest)
				}
				r, err := theirs(all[0], w.key.Public(), d.Digest)
				if err != nil {
					t.Fatal(err)
				}
				if r.Statement.GetPredicateType() != sigstore.SignPredicate {
					t.Errorf("predicate type %q", r.Statement.GetPredicateType())
				}
				w.alteredBundles(t, all[0], d.Digest)
			}
		})
	}
}

// alteredBundles changes a good bundle and demands that both readers refuse it.
func (w *world) alteredBundles(t *testing.T, good []byte, d ref.Digest) {
	t.Helper()
	other := newKey(t, key.ECDSAP256)
	if _, err := theirs(good, other.Public(), d); err == nil {
		t.Error("sigstore-go takes another key")
	}
	anchors := sigstore.Anchors{Keys: []crypto.PublicKey{w.key.Public()}, Now: now}
	if _, err := sigstore.Verify(good, d, sigstore.SignPredicate, anchors); err != nil {
		t.Errorf("ours refuses a good one: %v", err)
	}
	elsewhere := ref.Digest("sha256:" + strings.Repeat("0", 64))
	if _, err := theirs(good, w.key.Public(), elsewhere); err == nil {
		t.Error("sigstore-go takes it for another image")
	}
	for name, change := range map[string]func(map[string]any){
		"payload": func(e map[string]any) { flip(e, "payload") },
		"type":    func(e map[string]any) { e["payloadType"] = "application/json" },
		"signature": func(e map[string]any) {
			flip(e["signatures"].([]any)[0].(map[string]any), "sig")
		},
	} {
		bad := alter(t, good, change)
		if _, err := theirs(bad, w.key.Public(), d); err == nil {
			t.Errorf("%s: sigstore-go takes it", name)
		}
		if _, err := sigstore.Verify(bad, d, sigstore.SignPredicate, anchors); !fault.Is(err, fault.Untrusted) {
			t.Errorf("%s: ours: %v", name, err)
		}
	}
}

func alter(t *testing.T, b []byte, change func(envelope map[string]any)) []byte {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	change(v["dsseEnvelope"].(map[string]any))
	out, err := json.Marshal(v)
	if err != nil || bytes.Equal(out, b) {
		t.Fatalf("nothing changed: %v", err)
	}
	return out
}

// flip changes one character in the middle of a base64 text.
func flip(m map[string]any, field string) {
	s := []byte(m[field].(string))
	i := len(s) / 2
	if s[i] == 'A' {
		s[i] = 'B'
	} else {
		s[i] = 'A'
	}
	m[field] = string(s)
}

func TestSigstoreReadsOurAttestations(t *testing.T) {
	w := newWorld(t, key.ECDSAP256, true)
	s, err := sigstore.NewStatement(string(w.gun), w.top.Digest, "https://slsa.dev/provenance/v1", []byte(`{"buildDefinition":{"a":"<b> & c"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if did, err := w.writer.Attest(t.Context(), w.gun, w.key, w.top, s); err != nil || !did {
		t.Fatal(did, err)
	}
	r, err := theirs(w.bundles(t, w.top.Digest)[0], w.key.Public(), w.top.Digest)
	if err != nil {
		t.Fatal(err)
	}
	got := r.Statement.GetPredicate().GetFields()["buildDefinition"].GetStructValue().GetFields()["a"].GetStringValue()
	if got != "<b> & c" || r.Statement.GetSubject()[0].GetName() != string(w.gun) {
		t.Errorf("%q, %v", got, r.Statement.GetSubject())
	}
}

// TestOursReadsSigstores signs with sigstore-go.
func TestOursReadsSigstores(t *testing.T) {
	w := newWorld(t, key.ECDSAP256, true)
	pair, err := sign.NewEphemeralKeypair(nil)
	if err != nil {
		t.Fatal(err)
	}
	statement := `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` + w.top.Digest.Encoded() +
		`"}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}`
	pb, err := sign.Bundle(&sign.DSSEData{Data: []byte(statement), PayloadType: sigstore.PayloadType}, pair, sign.BundleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	made, err := bundle.NewBundle(pb)
	if err != nil {
		t.Fatal(err)
	}
	b, err := made.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	anchors := sigstore.Anchors{Keys: []crypto.PublicKey{pair.GetPublicKey()}, Now: now}
	if _, err := sigstore.Verify(b, w.top.Digest, sigstore.SignPredicate, anchors); err != nil {
		t.Error(err)
	}
	if _, err := sigstore.Verify(b, w.image.Platforms[0].Manifest, sigstore.SignPredicate, anchors); !fault.Is(err, fault.Untrusted) {
		t.Errorf("another image: %v", err)
	}
}
