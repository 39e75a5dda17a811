package trust

import (
	"context"
	"slices"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// Status is how a collection stands.
type Status struct {
	GUN   ref.GUN
	Now   time.Time // the time of the refresh
	Roles []RoleStatus

	// What the root claims that the tokens of its keys prove, by fingerprint, not
	// yet verified: for [key.VerifyAttestationOf].
	Attestations map[string][][]byte
}

// RoleStatus is how one role stands: root, timestamp, snapshot, targets and the
// roles that targets delegate to.
type RoleStatus struct {
	Role      string
	Version   int64     // 0 if the role was delegated but never signed
	Expires   time.Time // zero if never signed
	Threshold int
	Keys      []RoleKey
	Paths     []string // patterns of a delegated role
	Targets   int      // entries, of targets roles; without those in bins, see [Trusted.CountBins]
	Err       error    // what is wrong with the role's metadata, if nobody can use it
}

// RoleKey is one of a role's keys.
type RoleKey struct {
	ID          string
	Fingerprint string
	Type        string
	Signed      bool // the role's current metadata carries its signature
}

// Status returns how the collection stands.
func (t *Trusted) Status(ctx context.Context) (*Status, error) {
	r := t.root.Signed
	s := &Status{GUN: t.gun, Now: t.now, Attestations: r.attestations(), Roles: []RoleStatus{
		roleStatus(RoleRoot, t.root, r.Keys, r.Roles[RoleRoot]),
		roleStatus(RoleTimestamp, t.timestamp, r.Keys, r.Roles[RoleTimestamp]),
		roleStatus(RoleSnapshot, t.snapshot, r.Keys, r.Roles[RoleSnapshot]),
		targetsStatus(RoleTargets, t.targets, r.Keys, r.Roles[RoleTargets]),
	}}
	if s.Roles[3].Err = t.addGroups(ctx, t.top(), &s.Roles[3]); ctx.Err() != nil {
		return nil, fault.As(fault.Unavailable, ctx.Err())
	}
	d := t.targets.Signed.Delegations
	if d == nil {
		return s, nil
	}
	for i := range d.Roles {
		role := &d.Roles[i]
		if d.isOwnGroup(t.top(), role.Name) {
			continue
		}
		m, err := t.role(ctx, role.Name, d.Keys, role.keyRole)
		if ctx.Err() != nil {
			return nil, fault.As(fault.Unavailable, ctx.Err())
		}
		one := targetsStatus(role.Name, m, d.Keys, role.keyRole)
		one.Paths = slices.Clone(role.Paths)
		if err == nil {
			err = t.addGroups(ctx, step{name: role.Name, keys: d.Keys, need: role.keyRole}, &one)
		}
		if !fault.Is(err, fault.NotFound) {
			one.Err = err
		}
		s.Roles = append(s.Roles, one)
	}
	return s, nil
}

// addGroups lets the role expire with the first of its groups of bins. Those are
// signed anew together with all their bins, so that no bin expires before them.
func (t *Trusted) addGroups(ctx context.Context, role step, s *RoleStatus) error {
	own, err := t.role(ctx, role.name, role.keys, role.need)
	if err != nil {
		return err
	}
	for _, k := range binKinds {
		if !own.Signed.Delegations.isOwnGroup(role, k.group(role.name)) {
			continue
		}
		group, err := t.part(ctx, role, k.group(role.name))
		if err != nil {
			return err
		}
		s.Expires = earlier(s.Expires, group.Signed.Expires)
	}
	return nil
}

// CountBins adds what the roles of s name in their bins, every one of which it
// reads, to their Targets.
func (t *Trusted) CountBins(ctx context.Context, s *Status) error {
	for i := range s.Roles {
		r := &s.Roles[i]
		role, ok := t.speaker(r.Role)
		if !ok || r.Version == 0 || r.Err != nil {
			continue
		}
		parts, err := t.parts(ctx, role)
		if ctx.Err() != nil {
			return fault.As(fault.Unavailable, ctx.Err())
		}
		r.Err = err
		for _, p := range parts {
			r.Targets += len(p.Signed.Targets)
		}
	}
	return nil
}

// speaker returns the targets role of that name, the top-level one or one that
// it delegates to.
func (t *Trusted) speaker(name string) (step, bool) {
	if name == RoleTargets {
		return t.top(), true
	}
	d := t.targets.Signed.Delegations
	r := d.role(name)
	if r == nil {
		return step{}, false
	}
	return step{name: name, keys: d.Keys, need: r.keyRole}, true
}

func targetsStatus(name string, m *metadata[*targets], ks keys, r keyRole) RoleStatus {
	s := roleStatus(name, m, ks, r)
	if m != nil {
		s.Targets = len(m.Signed.Targets)
	}
	return s
}

func roleStatus[T body](name string, m *metadata[T], ks keys, r keyRole) RoleStatus {
	s := RoleStatus{Role: name, Threshold: r.Threshold}
	var signed map[string]bool
	if m != nil {
		h := m.Signed.head()
		s.Version, s.Expires = h.Version, h.Expires
		signed = m.signers(ks, r)
	}
	for _, k := range r.of(ks) {
		s.Keys = append(s.Keys, RoleKey{ID: k.ID, Fingerprint: k.Fingerprint, Type: k.Type, Signed: signed[k.Fingerprint]})
	}
	return s
}

// RootKeys is what a source shows as the root of a collection before anybody
// trusts it: what a person compares with what the publisher told them.
type RootKeys struct {
	GUN           ref.GUN
	First, Newest RootInfo
}

// RootInfo is one root of a chain.
type RootInfo struct {
	Version   int64
	Expires   time.Time
	Threshold int
	Keys      []RoleKey
}

// Peek returns the chain of roots that source has for gun. The chain holds
// together, but nothing says yet that it is the publisher's: it must not decide
// anything, and nothing of it is remembered.
func (c *Client) Peek(ctx context.Context, gun ref.GUN) (*RootKeys, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Limits.Time)
	defer cancel()
	collection, err := c.cfg.Source.Load(ctx, gun)
	if err != nil {
		return nil, fault.Hint(err, "its publisher starts with: plimsoll trust init %s --root-key URI --key URI", gun)
	}
	t := &Trusted{gun: gun, collection: collection, mem: newOverlay(nil), now: c.cfg.Now(), limits: c.cfg.Limits, expired: true}
	first, err := t.rootAt(ctx, 1)
	if err != nil {
		return nil, err
	}
	if first == nil {
		return nil, fault.Errorf(fault.Untrusted, "trust data of %q has no root 1", gun)
	}
	t.root = first
	if err := t.updateRoot(ctx); err != nil {
		return nil, err
	}
	return &RootKeys{GUN: gun, First: rootInfo(first), Newest: rootInfo(t.root)}, nil
}

func rootInfo(m *metadata[*root]) RootInfo {
	s := roleStatus(RoleRoot, m, m.Signed.Keys, m.Signed.Roles[RoleRoot])
	return RootInfo{Version: s.Version, Expires: s.Expires, Threshold: s.Threshold, Keys: s.Keys}
}
