package trust

import (
	"context"
	"maps"
	"slices"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// draft is a collection that is being changed: copies of what is trusted, and
// what of it must be signed again.
type draft struct {
	trusted *Trusted // what the change is based on; nil for a new collection
	gun     ref.GUN
	root    *root
	top     *targets
	signed  map[string]*targets // targets roles, and bins of theirs, that must be signed again
	read    map[string]*targets // what else was read
	adopted map[string]adopted  // what was lost and is published again
	newRoot bool
	given   *given // what a ceremony brought
}

// newDraft begins a collection.
func newDraft(gun ref.GUN, c InitConfig) (*draft, error) {
	roles := map[string][]*Key{RoleRoot: c.Root, RoleTargets: c.Targets, RoleSnapshot: c.Snapshot, RoleTimestamp: c.Timestamp}
	r := &root{header: header{Type: RoleRoot, GUN: gun}, Consistent: true, Keys: keys{}, Roles: map[string]keyRole{}}
	for role, ks := range roles {
		threshold := 1
		if ks == nil {
			ks = c.Targets
		}
		if role == RoleRoot {
			threshold = c.RootThreshold
		}
		if err := checkKeys(role, ks, threshold); err != nil {
			return nil, err
		}
		r.Roles[role] = newKeyRole(ks, threshold)
		for _, k := range ks {
			r.Keys[k.ID] = k
		}
		r.attest(ks...)
	}
	top := newTargets(gun)
	return &draft{gun: gun, root: r, top: top, newRoot: true, signed: map[string]*targets{RoleTargets: top}, read: map[string]*targets{}}, nil
}

// close unlocks what the draft is based on.
func (d *draft) close() error {
	if d.trusted == nil {
		return nil
	}
	return d.trusted.Close()
}

func newTargets(gun ref.GUN) *targets {
	return &targets{header: header{Type: RoleTargets, GUN: gun}, Targets: map[string]target{}}
}

// checkKeys refuses keys that could never meet their threshold.
func checkKeys(role string, ks []*Key, threshold int) error {
	distinct := map[string]bool{}
	for _, k := range ks {
		if distinct[k.Fingerprint] {
			return fault.Errorf(fault.Usage, "role %q: key %s is given twice", role, k.Fingerprint)
		}
		distinct[k.Fingerprint] = true
	}
	if threshold < 1 || threshold > len(distinct) || len(distinct) > maxKeys {
		return fault.Errorf(fault.Usage, "role %q: a threshold of %d does not go with %d keys", role, threshold, len(distinct))
	}
	return nil
}

// checkPaths refuses patterns that no reader would take, before anybody signs.
func checkPaths(patterns []string) error {
	for _, p := range patterns {
		if p == "" || len(p) > maxPath || !printable(p) {
			return fault.Errorf(fault.Usage, "%q cannot be a pattern: 1 to %d bytes, all of them printable", p, maxPath)
		}
	}
	return nil
}

// draftOf begins a change of t. What it shares with t is copied before it is
// changed.
func draftOf(t *Trusted) *draft {
	r := *t.root.Signed
	r.Keys, r.Roles = maps.Clone(r.Keys), maps.Clone(r.Roles)
	return &draft{trusted: t, gun: t.gun, root: &r, top: copyTargets(t.targets.Signed), signed: map[string]*targets{}, read: map[string]*targets{}, adopted: map[string]adopted{}}
}

func copyTargets(t *targets) *targets {
	c := *t
	c.Targets = maps.Clone(t.Targets)
	if t.Delegations != nil {
		d := *t.Delegations
		d.Keys, d.Roles = maps.Clone(d.Keys), slices.Clone(d.Roles)
		c.Delegations = &d
	}
	return &c
}

// speaks returns role with the keys that speak for it after this change. NotFound
// if nobody delegated to it.
func (d *draft) speaks(role string) (step, error) {
	if role == RoleTargets {
		return step{name: role, keys: d.root.Keys, need: d.root.Roles[role]}, nil
	}
	r := d.top.Delegations.role(role)
	if r == nil || ownerOf(role) != role {
		err := fault.Errorf(fault.NotFound, "%q has no role %q", d.gun, role)
		return step{}, fault.Hint(err, "plimsoll trust delegate %s %s --key URI", d.gun, role)
	}
	return step{name: role, keys: d.top.Delegations.Keys, need: r.keyRole}, nil
}

// spoke returns role with the keys that spoke for it before this change; false
// if it did not exist.
func (d *draft) spoke(role string) (step, bool) {
	if d.trusted == nil {
		return step{}, false
	}
	return d.trusted.speaker(role)
}

// look returns the metadata of the role, group or bin of that name, as
// it is in this change; nil if it was never signed. It must not be changed.
func (d *draft) look(ctx context.Context, name string) (*targets, error) {
	if t := d.signed[name]; t != nil {
		return t, nil
	}
	if name == RoleTargets {
		return d.top, nil
	}
	if t := d.read[name]; t != nil {
		return t, nil
	}
	m, err := d.current(ctx, name)
	if err != nil || m == nil {
		return nil, err
	}
	d.read[name] = m.Signed
	return m.Signed, nil
}

// change is look for changing: what it returns will be signed.
func (d *draft) change(ctx context.Context, name string) (*targets, error) {
	if d.signed[name] == nil {
		t, err := d.look(ctx, name)
		switch {
		case err != nil:
			return nil, err
		case t == nil:
			t = newTargets(d.gun)
		case name != RoleTargets:
			t = copyTargets(t)
		}
		d.signed[name] = t
	}
	return d.signed[name], nil
}

// current returns what a targets role, or one of its groups and bins, signed
// last, verified as it was delegated before this change; nil if it never signed.
func (d *draft) current(ctx context.Context, name string) (*metadata[*targets], error) {
	before, ok := d.spoke(ownerOf(name))
	if !ok {
		return nil, nil
	}
	m, err := d.trusted.role(ctx, name, before.keys, before.need)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	return m, err
}

// delegate makes or changes a delegated role.
func (d *draft) delegate(ctx context.Context, c RoleConfig) error {
	if !delegable.MatchString(c.Name) || isTopLevel(c.Name) {
		return fault.Errorf(fault.Usage, "%q cannot be a role's name: lower-case letters, digits, dots and dashes", c.Name)
	}
	if err := checkKeys(c.Name, c.Keys, c.Threshold); err != nil {
		return err
	}
	if err := checkPaths(c.Paths); err != nil {
		return err
	}
	if d.top.Delegations == nil {
		d.top.Delegations = &delegations{Keys: keys{}}
	}
	all := d.top.Delegations
	if all.role(c.Name) == nil {
		all.Roles = append(all.Roles, delegation{Name: c.Name, Paths: []string{"*", "sha256/*"}})
	}
	r := all.role(c.Name)
	if len(c.Paths) > 0 {
		r.Paths, r.Prefixes = c.Paths, nil
	}
	if err := d.rekey(ctx, c.Name, c.Keys, c.Threshold); err != nil {
		return err
	}
	d.revive(c.Name)
	return nil
}

// abandoned reports whether the snapshot still lists metadata of that name that
// no role answers for: a role that was dropped keeps its place there for good.
func (d *draft) abandoned(name string) bool {
	if d.trusted == nil {
		return false
	}
	_, listed := d.trusted.snapshot.Signed.Meta[name]
	_, spoke := d.spoke(ownerOf(name))
	return listed && !spoke
}

// revive lets a role that was dropped, and is made again, begin with nothing.
// What it said before was signed by keys that do not speak for it any more, and
// every reader would refuse it.
func (d *draft) revive(role string) {
	if d.abandoned(role) && d.signed[role] == nil {
		d.signed[role] = newTargets(d.gun)
	}
}

// rekey gives a delegated role its keys. What it signed before is signed again.
func (d *draft) rekey(ctx context.Context, role string, ks []*Key, threshold int) error {
	all := d.top.Delegations
	all.role(role).keyRole = newKeyRole(ks, threshold)
	for _, k := range ks {
		all.Keys[k.ID] = k
	}
	all.prune()
	d.signed[RoleTargets] = d.top
	return d.again(ctx, role)
}

// prune forgets keys that no role has.
func (d *delegations) prune() {
	used := map[string]bool{}
	for i := range d.Roles {
		maps.Copy(used, set(d.Roles[i].KeyIDs))
	}
	maps.DeleteFunc(d.Keys, func(id string, _ *Key) bool { return !used[id] })
}

// rotate gives a role new keys.
func (d *draft) rotate(ctx context.Context, role string, ks []*Key, threshold int) error {
	if ownerOf(role) != role {
		return fault.Errorf(fault.NotFound, "%q has no role %q", d.gun, role)
	}
	was, top := d.root.Roles[role]
	if r := d.top.Delegations.role(role); !top && r != nil {
		was = r.keyRole
	} else if !top {
		return fault.Errorf(fault.NotFound, "%q has no role %q", d.gun, role)
	}
	if threshold == 0 {
		threshold = was.Threshold
	}
	if err := checkKeys(role, ks, threshold); err != nil {
		return fault.Hint(err, "give as many --key as the role is to have, or --threshold N")
	}
	if !top {
		return d.rekey(ctx, role, ks, threshold)
	}
	next := newKeyRole(ks, threshold)
	next.rest = was.rest
	d.root.Roles[role] = next
	for _, k := range ks {
		d.root.Keys[k.ID] = k
	}
	d.root.prune()
	d.root.attest(ks...)
	d.newRoot = true
	if role == RoleTargets {
		return d.again(ctx, role)
	}
	return nil
}

func (r *root) prune() {
	used := map[string]bool{}
	for _, role := range r.Roles {
		maps.Copy(used, set(role.KeyIDs))
	}
	maps.DeleteFunc(r.Keys, func(id string, _ *Key) bool { return !used[id] })
}

// pins returns the pins that r meets.
func (r *root) pins() Pins {
	p := Pins{Threshold: r.Roles[RoleRoot].Threshold}
	for _, k := range r.Roles[RoleRoot].of(r.Keys) {
		p.Keys = append(p.Keys, k.Fingerprint)
	}
	return p
}

// mayName refuses an image whose names the role does not speak for: no reader
// would ask it.
func (d *draft) mayName(role string, m *Image) error {
	if role == RoleTargets {
		return nil
	}
	r := d.top.Delegations.role(role)
	for _, name := range []string{m.Tag, digestTarget(m.Digest)} {
		if name != "" && !r.covers(name) {
			return fault.Errorf(fault.Denied, "role %q does not speak for %q, only for %q", role, name, r.Paths)
		}
	}
	return nil
}
