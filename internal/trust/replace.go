package trust

import (
	"context"
	"errors"
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

// Replace makes the replacements with keys that are held here: a new root if a
// top-level role has the key, new targets if a delegated one has. What the
// affected roles say is signed again, as edit, which may be nil, leaves it.
func (r *Repository) Replace(ctx context.Context, all []Replacement, edit func(*Rework) error) error {
	return r.edit(ctx, func(d *draft) error {
		return d.apply(ctx, Changes{Replace: all, Edit: edit})
	})
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
func (d *draft) roles() []string {
	all := slices.Clone(topLevel)
	if d.top.Delegations != nil {
		for i := range d.top.Delegations.Roles {
			all = append(all, d.top.Delegations.Roles[i].Name)
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

// Rework changes what roles name while their keys are replaced.
type Rework struct{ draft *draft }

// Keep removes from role every target that keep does not name, and every
// delegated role that it does not name; the digest's target stays with a tag
// that names it. It returns what was removed.
func (w *Rework) Keep(ctx context.Context, role string, keep func(name string) bool, roles func(name string) bool) (gone []string, err error) {
	t, err := w.draft.targets(ctx, role)
	if err != nil {
		return nil, err
	}
	kept := map[string]bool{}
	for name, f := range t.Targets {
		if keep(name) {
			kept[name] = true
			kept["sha256/"+f.Hashes["sha256"]] = true
		}
	}
	for name := range t.Targets {
		if !kept[name] {
			delete(t.Targets, name)
			gone = append(gone, name)
		}
	}
	if d := t.Delegations; d != nil {
		d.Roles = slices.DeleteFunc(d.Roles, func(r delegation) bool {
			if roles(r.Name) {
				return false
			}
			gone = append(gone, r.Name)
			return true
		})
		d.prune()
	}
	slices.Sort(gone)
	return gone, nil
}

// CanReplace reports whether ch, a change of keys, takes only keys that ch.Held
// says are held. Nothing is signed.
func (r *Repository) CanReplace(ctx context.Context, ch Changes) (can bool, err error) {
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
