package trust

import (
	"context"
	"errors"
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
	Signers     map[string][]string   // role → fingerprints of the keys that signed it, in the order of the role
	Expiries    map[string]time.Time  // role → soonest expiry of what it says
	Errors      map[string]error      // role → why nobody knows what it says: its metadata is broken, expired or out of reach
	Expires     time.Time             // the soonest expiry of the metadata used
	RootKeys    []string              // fingerprints of the root's keys
	RootVersion int64

	// What the root claims of its keys, by fingerprint, not yet verified: see
	// [key.VerifyAttestationOf].
	Attestations map[string][][]byte
}

// Statement returns what the collection says about the image that r names:
// asked by digest, "sha256/<hex>" or an image of which r's digest is one
// platform; asked by tag, "<tag>". Roles answer one by one: what is wrong with
// one of them stands in Errors and takes nothing from the others. NotFound if no
// role names the image; if that is not known of all roles, the error of those.
func (t *Trusted) Statement(ctx context.Context, r ref.Reference) (*Statement, error) {
	s := &Statement{
		GUN: t.gun, Roles: map[string]ref.Digest{}, Signers: map[string][]string{}, Expiries: map[string]time.Time{},
		Errors: map[string]error{}, RootVersion: t.root.Signed.Version, Expires: t.root.Signed.Expires,
		Attestations: t.root.Signed.attestations(),
	}
	for _, k := range t.root.Signed.Roles[RoleRoot].of(t.root.Signed.Keys) {
		s.RootKeys = append(s.RootKeys, k.Fingerprint)
	}
	slices.Sort(s.RootKeys)
	s.rest(t.timestamp.Signed.Expires, t.snapshot.Signed.Expires)
	asked, err := t.asked(targetName(r))
	if err != nil {
		return nil, err
	}
	for _, role := range asked {
		if err := s.add(ctx, t, role, r); err != nil {
			return nil, err
		}
	}
	if len(s.Roles) == 0 {
		return nil, t.unsigned(r, s.Errors)
	}
	return s, nil
}

// add takes in what one role says. Its error is for a context that ended.
func (s *Statement) add(ctx context.Context, t *Trusted, role step, r ref.Reference) error {
	a, err := t.answer(ctx, role, targetName(r))
	var d ref.Digest
	if err == nil {
		if d, err = a.names(r); err != nil {
			err = wrap(role.name, err)
		}
	}
	switch {
	case ctx.Err() != nil:
		return fault.As(fault.Unavailable, ctx.Err())
	case err != nil:
		s.Errors[role.name] = err
		return nil //nolint:nilerr // it is one role's answer
	case len(a.used) == 0: // it has never signed
		return nil
	}
	at := a.used[0].Signed.Expires
	for _, m := range a.used {
		at = earlier(at, m.Signed.Expires)
	}
	s.rest(at)
	if d != "" {
		s.Roles[role.name], s.Expiries[role.name] = d, at
		signed := a.last().signers(role.keys, role.need)
		for _, k := range role.need.of(role.keys) {
			if signed[k.Fingerprint] {
				s.Signers[role.name] = append(s.Signers[role.name], k.Fingerprint)
			}
		}
	}
	return nil
}

// rest says that the statement rests on metadata with these expiries.
func (s *Statement) rest(at ...time.Time) {
	for _, e := range at {
		s.Expires = earlier(s.Expires, e)
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// unsigned is the answer if no role names r.
func (t *Trusted) unsigned(r ref.Reference, unknown map[string]error) error {
	if len(unknown) > 0 {
		kind := fault.Untrusted
		var all []error
		for _, role := range slices.Sorted(maps.Keys(unknown)) {
			if all = append(all, unknown[role]); !fault.Is(unknown[role], kind) {
				kind = fault.Unavailable // it could not be looked at
			}
		}
		return fault.Errorf(kind, "no role that could be asked names %q: %w", r, errors.Join(all...))
	}
	err := fault.Errorf(fault.NotFound, "%q is not signed", r)
	return fault.Hint(err, "its publisher runs: plimsoll sign %s", r)
}

// asked returns the roles that speak for name, most trusted first: the top-level
// targets and the roles that they delegate to directly. A role that one of those
// delegates to in turn is not asked: otherwise one of them could make a role
// with another's name and answer for it.
func (t *Trusted) asked(name string) ([]step, error) {
	top := t.top()
	all := []step{top}
	d := t.targets.Signed.Delegations
	children, _ := d.covering(name, 1)
	for _, s := range children {
		if !d.isOwnGroup(top, s.name) {
			all = append(all, s)
		}
	}
	if len(all) > t.limits.Roles {
		return nil, fault.Errorf(fault.Untrusted, "%d roles speak for %q", len(all), name)
	}
	return all, nil
}

// top returns the top-level targets role.
func (t *Trusted) top() step {
	r := t.root.Signed
	return step{name: RoleTargets, keys: r.Keys, need: r.Roles[RoleTargets]}
}

// answer is what one role says about a name: in its own metadata and, if it
// keeps names in bins, in that of the bin.
type answer struct {
	used   []*metadata[*targets] // its own first; none if it has never signed
	binned bool
}

// last returns the metadata in which the name is, or would be.
func (a answer) last() *metadata[*targets] { return a.used[len(a.used)-1] }

// answer asks role s about name. A group or bin that is delegated to and was
// never signed is a hole that somebody made: they are signed all at once.
func (t *Trusted) answer(ctx context.Context, s step, name string) (answer, error) {
	m, err := t.role(ctx, s.name, s.keys, s.need)
	if fault.Is(err, fault.NotFound) {
		return answer{}, nil
	} else if err != nil {
		return answer{}, err
	}
	a := answer{used: []*metadata[*targets]{m}}
	if _, ok := m.Signed.Targets[name]; ok {
		return a, nil
	}
	group := m.Signed.Delegations.ownGroup(s, name)
	if group == nil {
		return a, nil
	}
	a.binned = true
	if m, err = t.part(ctx, s, group.Name); err != nil {
		return a, err
	}
	a.used = append(a.used, m)
	bin := m.Signed.Delegations.ownBin(s, group.Name, name)
	if bin == nil {
		return a, fault.Errorf(fault.Untrusted, "%s has no bin for %q", group.Name, name)
	}
	if m, err = t.part(ctx, s, bin.Name); err != nil {
		return a, err
	}
	a.used = append(a.used, m)
	return a, nil
}

// part returns a group or bin of role s, verified by the keys of s.
func (t *Trusted) part(ctx context.Context, s step, name string) (*metadata[*targets], error) {
	m, err := t.role(ctx, name, s.keys, s.need)
	if fault.Is(err, fault.NotFound) {
		err = fault.As(fault.Untrusted, err)
	}
	return m, err
}

// part is a group or bin.
type part struct {
	name string
	*metadata[*targets]
}

// parts returns all groups and bins of a role that has signed.
func (t *Trusted) parts(ctx context.Context, s step) ([]part, error) {
	own, err := t.role(ctx, s.name, s.keys, s.need)
	if err != nil {
		return nil, err
	}
	var all []part
	for _, k := range binKinds {
		name := k.group(s.name)
		if !own.Signed.Delegations.isOwnGroup(s, name) {
			continue
		}
		group, err := t.part(ctx, s, name)
		if err != nil {
			return nil, err
		}
		all = append(all, part{name, group})
		for _, b := range group.Signed.Delegations.ownBins(s, name) {
			bin, err := t.part(ctx, s, b.Name)
			if err != nil {
				return nil, err
			}
			all = append(all, part{b.Name, bin})
		}
	}
	return all, nil
}

// targetName returns the path of the target that decides about r.
func targetName(r ref.Reference) string {
	if r.Digest != "" {
		return digestTarget(r.Digest)
	}
	return r.Tag
}

func digestTarget(d ref.Digest) string { return d.Algorithm().String() + "/" + d.Encoded() }

// names returns the digest that a role names for r, or "".
func (a answer) names(r ref.Reference) (ref.Digest, error) {
	if len(a.used) == 0 {
		return "", nil
	}
	m := a.last().Signed
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
	if a.binned { // platforms have targets of their own there
		return "", nil
	}
	for name, f := range m.Targets {
		if strings.HasPrefix(name, "sha256/") && f.hasPlatform(r.Digest) {
			return r.Digest, nil
		}
	}
	return "", nil
}

// Decide returns the role that decides about r by TUF's order of delegations,
// the most trusted that names it, and the digest that it names. It is for where
// no policy says which roles must agree; a more trusted role whose metadata is
// broken is an error, for nobody knows what it would have said.
func (t *Trusted) Decide(ctx context.Context, r ref.Reference) (role string, d ref.Digest, err error) {
	f, err := t.lookup(ctx, targetName(r))
	if err == nil {
		algorithm := "sha256"
		if r.Digest != "" {
			algorithm = r.Algorithm().String()
		}
		d, err = f.target.digest(algorithm)
		return f.as, d, err
	}
	if !fault.Is(err, fault.NotFound) || r.Digest == "" {
		return "", "", err
	}
	s, err := t.Statement(ctx, r)
	if err != nil {
		return "", "", err
	}
	for _, name := range t.Order() {
		if err := s.Errors[name]; err != nil {
			return "", "", err
		}
		if d, ok := s.Roles[name]; ok {
			return name, d, nil
		}
	}
	return "", "", t.unsigned(r, nil)
}

// Order returns the roles that [Trusted.Statement] asks, most trusted first.
func (t *Trusted) Order() []string {
	all := []string{RoleTargets}
	if d := t.targets.Signed.Delegations; d != nil {
		for i := range d.Roles {
			if !d.isOwnGroup(t.top(), d.Roles[i].Name) {
				all = append(all, d.Roles[i].Name)
			}
		}
	}
	return all
}
