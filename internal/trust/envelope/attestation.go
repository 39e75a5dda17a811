package envelope

import (
	"bytes"
	"context"
	"crypto"
	"slices"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/key"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
	"plimsoll/internal/trust/sigstore"
)

// Attestation is a statement about an image and the keys that made it.
type Attestation struct {
	Statement *sigstore.Statement
	Keys      []string // fingerprints, distinct, sorted
	payload   []byte
}

// Attestations returns the statements of a type about the image d that anchors
// made, each once: keys that made the same statement, byte for byte, stand in one
// entry. The second result says what was wrong with others, or could not be
// looked at; it is nil if there were no others.
func (r *Reader) Attestations(ctx context.Context, gun ref.GUN, d v1.Descriptor, predicateType string, a sigstore.Anchors) ([]Attestation, error) {
	var all []Attestation
	k := kindOf{"attestation", sigstore.IsBundle, ofOtherType(predicateType), sigstore.MaxAttestation}
	s, err := r.each(ctx, gun, d.Digest, k, func(_ *v1.Manifest, content []byte) (bool, error) {
		v, err := sigstore.Verify(content, d.Digest, predicateType, a)
		if err != nil {
			return false, err
		}
		by, err := signatureBy(v.Signer)
		if err == nil {
			all = add(all, v, by.Key)
		}
		return false, err
	})
	switch {
	case err != nil:
		return nil, err
	case len(s.problems) == 0 && len(all) > 0:
		return all, nil
	}
	return all, s.result()
}

func add(all []Attestation, v *sigstore.Verified, key string) []Attestation {
	i := slices.IndexFunc(all, func(a Attestation) bool { return bytes.Equal(a.payload, v.Payload) })
	if i < 0 {
		return append(all, Attestation{v.Statement, []string{key}, v.Payload})
	}
	if at, there := slices.BinarySearch(all[i].Keys, key); !there {
		all[i].Keys = slices.Insert(all[i].Keys, at, key)
	}
	return all
}

// AnchorsOf returns the keys of roles.
func AnchorsOf(roles []trust.Speaker) sigstore.Anchors {
	var a sigstore.Anchors
	for _, r := range roles {
		for _, k := range r.Keys {
			a.Keys = append(a.Keys, k.Public)
		}
	}
	return a
}

// By returns the roles that make the statement: those of which as many keys made
// it as the role's threshold demands.
func (a *Attestation) By(roles []trust.Speaker) []string {
	var names []string
	for _, r := range roles {
		n := 0
		for _, k := range r.Keys {
			if slices.Contains(a.Keys, k.Fingerprint) {
				n++
			}
		}
		if r.Threshold > 0 && n >= r.Threshold {
			names = append(names, r.Role)
		}
	}
	return names
}

// Attest puts a statement by signer's key beside the image, and reports whether
// it did: what that key has stated already, byte for byte, is left as it is. It
// costs one signature.
func (w *Writer) Attest(ctx context.Context, gun ref.GUN, signer key.Signer, subject v1.Descriptor, s *sigstore.Statement) (bool, error) {
	r := Reader{Registry: w.Registry, Now: w.Now}
	before, err := r.Attestations(ctx, gun, subject, s.PredicateType, sigstore.Anchors{Keys: []crypto.PublicKey{signer.Public()}})
	if err != nil && !absent(err) {
		return false, err
	}
	payload, err := s.Payload()
	if err != nil {
		return false, err
	}
	for i := range before {
		if bytes.Equal(before[i].payload, payload) {
			return false, nil
		}
	}
	b, err := sigstore.Attest(ctx, signer, s)
	if err != nil {
		return false, err
	}
	_, err = w.Registry.PushArtifact(ctx, gun, bundleArtifact(subject, s.PredicateType, b, w.Now))
	return err == nil, err
}
