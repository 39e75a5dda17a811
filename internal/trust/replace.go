package trust

import (
	"context"
	"errors"
	"maps"
	"slices"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// Replacement takes a key away from every role that has it, and puts another
// one, if there is one, in its place. Thresholds stay.
type Replacement struct {
	Old string // fingerprint
	New *Key   // nil for none
}

// Sift makes a role name these images, delegate to these roles, and nothing
// else: what is left after somebody looked at what a thief may have signed.
type Sift struct {
	Role   string
	Images []Image
	Roles  []string
}

// Change makes the changes with keys that are held here: a new root if a
// top-level role gets other keys, new targets if a delegated one does. What the
// affected roles say is signed again. Init, Until and Held are not for it.
func (r *Repository) Change(ctx context.Context, ch Changes) error {
	return r.edit(ctx, func(d *draft) error { return d.apply(ctx, ch) })
}

func (d *draft) replace(ctx context.Context, r Replacement) error {
	found := false
	for _, role := range d.roles() {
		by, _ := d.speakers(role)
		ks := by.role.of(by.keys)
		at := slices.IndexFunc(ks, func(k *Key) bool { return k.Fingerprint == r.Old })
		if at < 0 {
			continue
		}
		found = true
		ks = slices.Clone(ks)
		if r.New == nil || slices.ContainsFunc(ks, func(k *Key) bool { return k.Fingerprint == r.New.Fingerprint }) {
			ks = slices.Delete(ks, at, at+1)
		} else {
			ks[at] = r.New
		}
		if err := d.rotate(ctx, role, d.proven(ks), 0); err != nil {
			return err
		}
	}
	if !found {
		return fault.Errorf(fault.NotFound, "no role of %q has key %s", d.gun, r.Old)
	}
	return nil
}

// roles returns the names of all roles, as the draft stands.
func (d *draft) roles() []string { return append(slices.Clone(topLevel), d.delegated()...) }

// delegated returns the names of the roles that targets delegates to, other than
// its own bins.
func (d *draft) delegated() []string {
	var all []string
	if d.top.Delegations == nil {
		return nil
	}
	for i := range d.top.Delegations.Roles {
		if name := d.top.Delegations.Roles[i].Name; ownerOf(name) == name {
			all = append(all, name)
		}
	}
	return all
}

// initDraft begins a collection with the keys of its roles. Those of snapshot
// and timestamp are targets' where they are not named.
func initDraft(gun ref.GUN, roles []RoleConfig) (*draft, error) {
	by := map[string]RoleConfig{}
	for _, r := range roles {
		if !isTopLevel(r.Name) {
			return nil, fault.Errorf(fault.Usage, "role %q: delegated roles are made after the repository has its targets", r.Name)
		}
		if len(r.Paths) > 0 {
			return nil, noPaths(r.Name)
		}
		by[r.Name] = r
	}
	c := InitConfig{RootThreshold: by[RoleRoot].Threshold, Root: by[RoleRoot].Keys, Targets: by[RoleTargets].Keys, Snapshot: by[RoleSnapshot].Keys, Timestamp: by[RoleTimestamp].Keys}
	if len(c.Root) == 0 || len(c.Targets) == 0 {
		return nil, fault.Errorf(fault.Usage, "a repository starts with keys of root and of targets")
	}
	if c.RootThreshold == 0 {
		c.RootThreshold = len(c.Root)/2 + 1
	}
	d, err := newDraft(gun, c)
	if err != nil {
		return nil, err
	}
	for _, r := range roles {
		if r.Name == RoleRoot || r.Threshold == 0 {
			continue
		}
		ks := d.root.Roles[r.Name].of(d.root.Keys)
		if err := checkKeys(r.Name, ks, r.Threshold); err != nil {
			return nil, err
		}
		d.root.Roles[r.Name] = newKeyRole(ks, r.Threshold)
	}
	return d, nil
}

// sift takes out of a role what is not kept. What is kept is written anew, from
// the images themselves: beside a digest that somebody knows, a thief may have
// written platforms that are not its own.
func (d *draft) sift(ctx context.Context, s Sift) error {
	all, err := d.all(ctx, s.Role)
	if err != nil {
		return err
	}
	for name := range all {
		t, _, err := d.at(ctx, s.Role, name)
		if err != nil {
			return err
		}
		delete(t.Targets, name)
	}
	own, err := d.change(ctx, s.Role)
	if err != nil {
		return err
	}
	if err := d.siftRoles(ctx, s, own); err != nil {
		return err
	}
	for i := range s.Images {
		if err := d.name(ctx, s.Role, &s.Images[i]); err != nil {
			return err
		}
	}
	return nil
}

// siftRoles takes out of own, what the role says itself, and out of its groups of
// bins every delegation that is neither kept nor to a bin of its own.
func (d *draft) siftRoles(ctx context.Context, s Sift, own *targets) error {
	if own.Delegations == nil {
		return nil
	}
	now, err := d.speaks(s.Role)
	if err != nil {
		return err
	}
	var groups []string
	own.Delegations.Roles = slices.DeleteFunc(slices.Clone(own.Delegations.Roles), func(r delegation) bool {
		if own.Delegations.isOwnGroup(now, r.Name) {
			groups = append(groups, r.Name)
			return false
		}
		kept := slices.Contains(s.Roles, r.Name)
		if !kept && s.Role == RoleTargets && ownerOf(r.Name) == r.Name {
			d.forget(r.Name)
		}
		return !kept
	})
	own.Delegations.prune()
	for _, name := range groups {
		group, err := d.change(ctx, name)
		if err != nil {
			return err
		}
		clear(group.Targets)
		var bins []delegation
		for _, b := range group.Delegations.ownBins(now, name) {
			bins = append(bins, *b)
		}
		group.Delegations.Roles = bins
		group.Delegations.prune()
	}
	return nil
}

// forget takes back what was to be signed or published again of a role that is
// dropped.
func (d *draft) forget(role string) {
	maps.DeleteFunc(d.signed, func(name string, _ *targets) bool { return ownerOf(name) == role })
	maps.DeleteFunc(d.adopted, func(name string, _ adopted) bool { return ownerOf(name) == role })
}

// name lets a role name an image.
func (d *draft) name(ctx context.Context, role string, m *Image) error {
	if err := m.check(); err != nil {
		return err
	}
	return d.add(ctx, role, m)
}

// CanChange reports whether ch takes only keys that ch.Held
// says are held. Nothing is signed.
func (r *Repository) CanChange(ctx context.Context, ch Changes) (can bool, err error) {
	d, err := r.proposalDraft(ctx, ch)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.apply(ctx, ch); err != nil {
		return false, err
	}
	by := []signedBy{}
	for _, role := range []string{RoleSnapshot, RoleTimestamp} {
		by = append(by, signedBy{d.root.Keys, d.root.Roles[role]})
	}
	if d.newRoot {
		old := d.trusted.root.Signed
		by = append(by, signedBy{old.Keys, old.Roles[RoleRoot]}, signedBy{d.root.Keys, d.root.Roles[RoleRoot]})
	}
	for role := range d.signed {
		s, _ := d.speakers(role)
		by = append(by, s)
	}
	for _, b := range by {
		if !b.held(ch.Held) {
			return false, nil
		}
	}
	return true, nil
}
