package envelope

import (
	"bytes"
	"context"
	"slices"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

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
