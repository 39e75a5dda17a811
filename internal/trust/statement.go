package trust

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// Statement is what a trust collection says about one image, verified: each
// role that names it, looked up in its own metadata (TAP 3).
type Statement struct {
	GUN         ref.GUN
	Roles       map[string]ref.Digest // role → digest that it names
	Signers     map[string][]string   // role → fingerprints of the keys that signed it, sorted
	Expires     time.Time             // the soonest expiry of the metadata used
	RootKeys    []string              // fingerprints of the root's keys
	RootVersion int64

	// What the root claims of its keys, by fingerprint, not yet verified: see
	// [key.VerifyAttestationOf].
	Attestations map[string][][]byte
}

// Statement returns what the collection says about the image that r names:
// asked by digest, "sha256/<hex>" or an image of which r's digest is one
// platform; asked by tag, "<tag>". NotFound if no role names it.
func (t *Trusted) Statement(ctx context.Context, r ref.Reference) (*Statement, error) {
	name := targetName(r)
	roles, err := t.direct(ctx, name)
	if err != nil {
		return nil, err
	}
	s := &Statement{GUN: t.gun, Roles: map[string]ref.Digest{}, Signers: map[string][]string{}, Expires: t.soonest(roles), RootVersion: t.root.Signed.Version, Attestations: t.root.Signed.attestations()}
	for _, k := range t.root.Signed.Roles[RoleRoot].of(t.root.Signed.Keys) {
		s.RootKeys = append(s.RootKeys, k.Fingerprint)
	}
	slices.Sort(s.RootKeys)
	for role, m := range roles {
		d, err := named(m.Signed, r)
		if err != nil {
			return nil, wrap(role, err)
		}
		if d != "" {
			s.Roles[role] = d
			s.Signers[role] = slices.Sorted(maps.Keys(m.signers(m.keys, m.need)))
		}
	}
	if len(s.Roles) == 0 {
		return nil, t.unsigned(r)
	}
	return s, nil
}

func (t *Trusted) unsigned(r ref.Reference) error {
	err := fault.Errorf(fault.NotFound, "%q is not signed", r)
	return fault.Hint(err, "its publisher runs: plimsoll sign %s", r)
}

// targetName returns the path of the target that decides about r.
func targetName(r ref.Reference) string {
	if r.Digest != "" {
		return digestTarget(r.Digest)
	}
	return r.Tag
}

func digestTarget(d ref.Digest) string { return d.Algorithm().String() + "/" + d.Encoded() }

// named returns the digest that a role names for r, or "".
func named(m *targets, r ref.Reference) (ref.Digest, error) {
	f, ok := m.Targets[targetName(r)]
	if r.Digest == "" {
		if !ok {
			return "", nil
		}
		return f.digest("sha256")
	}
	if ok {
		d, err := f.digest(r.Algorithm().String())
		if err == nil && d != r.Digest {
			err = fault.Errorf(fault.Untrusted, "target %q names %s", targetName(r), d)
		}
		return d, err
	}
	for name, f := range m.Targets {
		if strings.HasPrefix(name, "sha256/") && f.hasPlatform(r.Digest) {
			return r.Digest, nil
		}
	}
	return "", nil
}

// soonest returns the earliest expiry of what a statement rests on.
func (t *Trusted) soonest(roles map[string]speaker) time.Time {
	at := t.root.Signed.Expires
	rest := []time.Time{t.timestamp.Signed.Expires, t.snapshot.Signed.Expires}
	for m := range maps.Values(roles) {
		rest = append(rest, m.Signed.Expires)
	}
	for _, e := range rest {
		if e.Before(at) {
			at = e
		}
	}
	return at
}

// Decide returns the role that decides about r by TUF's order of delegations,
// the most trusted that names it, and the digest that it names. It is for where
// no policy says which roles must agree.
func (t *Trusted) Decide(ctx context.Context, r ref.Reference) (role string, d ref.Digest, err error) {
	f, err := t.lookup(ctx, targetName(r))
	if err == nil {
		algorithm := "sha256"
		if r.Digest != "" {
			algorithm = r.Algorithm().String()
		}
		d, err = f.target.digest(algorithm)
		return f.role, d, err
	}
	if !fault.Is(err, fault.NotFound) || r.Digest == "" {
		return "", "", err
	}
	s, err := t.Statement(ctx, r)
	if err != nil {
		return "", "", err
	}
	for _, name := range t.order() {
		if d, ok := s.Roles[name]; ok {
			return name, d, nil
		}
	}
	return "", "", t.unsigned(r)
}

// order returns the roles that [Trusted.Statement] asks, most trusted first.
func (t *Trusted) order() []string {
	all := []string{RoleTargets}
	if d := t.targets.Signed.Delegations; d != nil {
		for i := range d.Roles {
			all = append(all, d.Roles[i].Name)
		}
	}
	return all
}
