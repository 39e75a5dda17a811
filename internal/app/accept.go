package app

import (
	"context"
	"crypto/x509/pkix"
	"slices"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/gate"
	"plimsoll/internal/oci"
	"plimsoll/internal/policy"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust/codesign"
	"plimsoll/internal/trust/envelope"
	"plimsoll/internal/trust/sigstore"
)

// Accepter verifies signatures of other formats, as the gate asks.
type Accepter struct{ Registry *oci.Client }

var _ gate.Accepter = Accepter{}

// Accepted implements [gate.Accepter].
func (a Accepter) Accepted(ctx context.Context, gun ref.GUN, image v1.Descriptor, accept []policy.Accept) (found []policy.Foreign, expires time.Time) {
	r := envelope.Reader{Registry: a.Registry, Now: time.Now()}
	for i := range accept {
		f := policy.Foreign{Role: accept[i].Role, Format: accept[i].Format()}
		s, err := acceptOne(ctx, &r, gun, image, &accept[i])
		if err != nil {
			f.Err = err
		} else {
			f.Signer, f.Key = s.Signer, s.Key
			if !s.Expires.IsZero() && (expires.IsZero() || s.Expires.Before(expires)) {
				expires = s.Expires
			}
		}
		found = append(found, f)
	}
	return found, expires
}

func acceptOne(ctx context.Context, r *envelope.Reader, gun ref.GUN, image v1.Descriptor, a *policy.Accept) (*envelope.Signature, error) {
	if n := a.Notation; n != nil {
		return r.Notation(ctx, gun, image, authorities(n.Roots, n.Subjects))
	}
	return r.Cosign(ctx, gun, image, Anchors(a.Cosign, r.Now))
}

// Anchors returns whom an entry for cosign believes.
func Anchors(c *policy.Cosign, now time.Time) sigstore.Anchors {
	a := sigstore.Anchors{Authorities: authorities(c.Roots, c.Subjects), Now: now}
	for _, k := range c.Keys {
		a.Keys = append(a.Keys, k.Key)
	}
	return a
}

func authorities(roots []policy.Certificate, subjects []policy.Subject) codesign.Authorities {
	a := codesign.Authorities{Subject: func(name pkix.Name) bool {
		return slices.ContainsFunc(subjects, func(s policy.Subject) bool { return s.Match(name) })
	}}
	for _, c := range roots {
		a.Roots = append(a.Roots, c.Certificate)
	}
	return a
}

// Accepts returns how the publisher of the repository that r names signs other
// than by TUF, and the repository's GUN; nil if it has a root, or if no policy
// speaks of it.
func (s Settings) Accepts(r ref.Reference) (ref.GUN, []policy.Accept, error) {
	document, err := ReadPolicy(s.Policy)
	if fault.Is(err, fault.NotFound) && !s.policyNamed {
		return r.GUN(), nil, nil
	} else if err != nil {
		return "", nil, err
	}
	_, p, gun := document.Publisher(r)
	if p == nil {
		return r.GUN(), nil, nil
	}
	return gun, p.Accept, nil
}
