package trust

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"plimsoll/internal/fault"
)

// Changes are what a ceremony is to change. All are made at once.
type Changes struct {
	Init    bool              // start the collection: Roles name at least root and targets
	Roles   []RoleConfig      // keys of roles: nil Keys and Threshold 0 keep what is there
	Replace []Replacement     // in every role that has the key
	Sift    []Sift            // after that
	Renew   bool              // a new root, if only for its expiry
	As      string            // the role that names Images
	Images  []Image           // to be signed
	Until   time.Time         // the end of the ceremony
	Held    func(k *Key) bool // whether the key will be at hand when the ceremony is finished
}

// Propose returns the ceremony that makes the changes to the collection as it is
// now. Nothing is signed or published. A document is put to the holders if it
// says something new, or if too few of its keys are held here; what only needs
// to be signed again by keys that are held here is left to [Repository.Finish].
func (r *Repository) Propose(ctx context.Context, ch Changes) (c *Ceremony, err error) {
	now := r.cfg.Client.cfg.Now()
	if !now.Before(ch.Until) {
		return nil, fault.Errorf(fault.Usage, "the ceremony would have ended at %s", ch.Until.UTC().Format(timeForm))
	}
	d, err := r.proposalDraft(ctx, ch)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.apply(ctx, ch); err != nil {
		return nil, err
	}
	s := &signing{now: now, expiries: r.cfg.Expiries, makers: r.cfg.Makers}
	proposed, current, err := d.documents(ctx, s, ch)
	if err != nil {
		return nil, err
	}
	var chain []*metadata[*root]
	if d.trusted != nil {
		if chain, err = d.trusted.chain(ctx); err != nil {
			return nil, err
		}
	}
	return newCeremony(d.gun, ch.Until, proposed, current, chain)
}

// proposalDraft begins a draft over what is published now.
func (r *Repository) proposalDraft(ctx context.Context, ch Changes) (*draft, error) {
	if !ch.Init {
		t, err := r.cfg.Client.Inspect(ctx, r.cfg.GUN, r.cfg.Pins)
		if err != nil {
			return nil, err
		}
		return draftOf(t), nil
	}
	_, err := r.cfg.Client.cfg.Source.Load(ctx, r.cfg.GUN)
	switch {
	case err == nil:
		err := fault.Errorf(fault.Conflict, "%q has trust data already", r.cfg.GUN)
		return nil, fault.Hint(err, "leave --init out to change it; plimsoll trust pin %s shows its root", r.cfg.GUN)
	case !fault.Is(err, fault.NotFound):
		return nil, err
	}
	return initDraft(r.cfg.GUN, ch.Roles)
}

// apply makes the changes.
func (d *draft) apply(ctx context.Context, ch Changes) error {
	d.newRoot = d.newRoot || ch.Renew
	if !ch.Init {
		for _, role := range ch.Roles {
			if err := d.configure(ctx, role); err != nil {
				return err
			}
		}
	}
	for _, r := range ch.Replace {
		if err := d.replace(ctx, r); err != nil {
			return err
		}
	}
	for _, one := range ch.Sift {
		if err := d.sift(ctx, one); err != nil {
			return err
		}
	}
	for i := range ch.Images {
		if err := d.name(ctx, ch.As, &ch.Images[i]); err != nil {
			return err
		}
	}
	return nil
}

// configure gives a role the keys, threshold and paths that c names.
func (d *draft) configure(ctx context.Context, c RoleConfig) error {
	was, there := d.speakers(c.Name)
	if c.Keys == nil && there {
		c.Keys = was.role.of(was.keys)
	}
	c.Keys = d.proven(c.Keys)
	if !there {
		c.Threshold = max(c.Threshold, 1)
		return d.delegate(ctx, c)
	}
	if !isTopLevel(c.Name) && len(c.Paths) > 0 {
		if c.Threshold == 0 {
			c.Threshold = was.role.Threshold
		}
		return d.delegate(ctx, c)
	}
	return d.rotate(ctx, c.Name, c.Keys, c.Threshold)
}

// speakers returns who signs a role as the draft stands.
func (d *draft) speakers(role string) (signedBy, bool) {
	role = ownerOf(role)
	if r, ok := d.root.Roles[role]; ok {
		return signedBy{d.root.Keys, r}, true
	}
	if r := d.top.Delegations.role(role); r != nil {
		return signedBy{d.top.Delegations.Keys, r.keyRole}, true
	}
	return signedBy{}, false
}

// documents returns what the holders are to sign, with versions and expiries,
// and the metadata that it follows.
func (d *draft) documents(ctx context.Context, s *signing, ch Changes) (map[string]body, map[string]*metadata[*targets], error) {
	proposed, current := map[string]body{}, map[string]*metadata[*targets]{}
	if d.trusted != nil {
		current[RoleTargets] = d.trusted.targets
	}
	if d.newRoot {
		if err := errors.Join(d.root.honest(s.makers), s.stamp(&d.root.header, RoleRoot)); err != nil {
			return nil, nil, err
		}
		proposed[RoleRoot] = d.root
	}
	for _, role := range slices.Sorted(maps.Keys(d.signed)) {
		t := d.signed[role]
		was, err := d.follows(ctx, role)
		if err != nil {
			return nil, nil, err
		}
		by, _ := d.speakers(role)
		if was != nil && same(was.Signed.encode(), t.encode()) && by.held(ch.Held) {
			continue
		}
		if was == nil && ch.Init && by.held(ch.Held) {
			continue
		}
		if ownerOf(role) != role {
			err := fault.Errorf(fault.Conflict, "role %q keeps its targets in bins: too many files for people to sign in a ceremony", ownerOf(role))
			return nil, nil, fault.Hint(err, "sign or rotate with its keys at hand: plimsoll sign, plimsoll trust rotate")
		}
		if was != nil {
			current[role], t.Version = was, was.Signed.Version
		}
		if err := s.stamp(&t.header, role); err != nil {
			return nil, nil, err
		}
		proposed[role] = t
	}
	if len(proposed) == 0 {
		err := fault.Errorf(fault.Usage, "this changes nothing that holders would have to sign")
		return nil, nil, fault.Hint(err, "plimsoll trust ceremony begin --help shows what a ceremony can change")
	}
	return proposed, current, nil
}

// follows returns what a role says now; nil if it never signed.
func (d *draft) follows(ctx context.Context, role string) (*metadata[*targets], error) {
	switch {
	case d.trusted == nil:
		return nil, nil
	case role == RoleTargets:
		return d.trusted.targets, nil
	}
	return d.current(ctx, role)
}

// held reports whether enough of the keys are held.
func (b signedBy) held(has func(*Key) bool) bool {
	n := 0
	for _, k := range b.role.of(b.keys) {
		if has != nil && has(k) {
			n++
		}
	}
	return n >= b.role.Threshold
}

// chain returns every root from the first to the current one.
func (t *Trusted) chain(ctx context.Context) ([]*metadata[*root], error) {
	newest := t.root.Signed.Version
	if newest > maxChain {
		return nil, fault.Errorf(fault.Invalid, "a chain of %d roots is too long for a ceremony", newest)
	}
	var all []*metadata[*root]
	for version := int64(1); version < newest; version++ {
		m, err := t.rootAt(ctx, version)
		if err != nil {
			return nil, err
		}
		if m == nil {
			return nil, fault.Errorf(fault.Untrusted, "%s metadata is missing", rootName(version))
		}
		all = append(all, m)
	}
	return append(all, t.root), nil
}
