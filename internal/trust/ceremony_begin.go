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
	all, err := d.documents(ctx, s, ch)
	if err != nil {
		return nil, err
	}
	var chain []*metadata[*root]
	if d.trusted != nil {
		if chain, err = d.trusted.chain(ctx); err != nil {
			return nil, err
		}
	}
	return newCeremony(d.gun, ch.Until, all, chain)
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
	if isTopLevel(c.Name) && len(c.Paths) > 0 {
		return noPaths(c.Name)
	}
	was, there := d.speakers(c.Name)
	if c.Keys == nil && there {
		c.Keys = was.role.of(was.keys)
	}
	c.Keys = d.proven(c.Keys)
	if !there {
		c.Threshold = max(c.Threshold, 1)
		return d.delegate(ctx, c)
	}
	if len(c.Paths) > 0 {
		if c.Threshold == 0 {
			c.Threshold = was.role.Threshold
		}
		return d.delegate(ctx, c)
	}
	return d.rotate(ctx, c.Name, c.Keys, c.Threshold)
}

func noPaths(role string) error {
	return fault.Errorf(fault.Usage, "role %q: only delegated roles have paths", role)
}

// speakers returns who signs a role, or a group or bin of one, as the draft
// stands.
func (d *draft) speakers(name string) (signedBy, bool) {
	role := ownerOf(name)
	if r, ok := d.root.Roles[role]; ok {
		return signedBy{d.root.Keys, r}, true
	}
	if r := d.top.Delegations.role(role); r != nil {
		return signedBy{d.top.Delegations.Keys, r.keyRole}, true
	}
	return signedBy{}, false
}

// documents are what holders are to sign, and what it follows, by name.
type documents struct {
	proposed map[string]body
	current  map[string]*metadata[*targets]
}

// documents returns what the holders are to sign, with versions and expiries,
// and the metadata that it follows.
func (d *draft) documents(ctx context.Context, s *signing, ch Changes) (documents, error) {
	all := documents{map[string]body{}, map[string]*metadata[*targets]{}}
	if d.trusted != nil {
		all.current[RoleTargets] = d.trusted.targets
	}
	if d.newRoot {
		if err := errors.Join(d.root.honest(s.makers), s.stamp(&d.root.header, RoleRoot)); err != nil {
			return all, err
		}
		all.proposed[RoleRoot] = d.root
	}
	for _, name := range slices.Sorted(maps.Keys(d.signed)) {
		if err := d.document(ctx, s, ch, name, &all); err != nil {
			return all, err
		}
	}
	switch n := len(all.proposed); {
	case n == 0:
		err := fault.Errorf(fault.Usage, "this changes nothing that holders would have to sign")
		return all, fault.Hint(err, "plimsoll trust ceremony begin --help shows what a ceremony can change")
	case n > maxDocuments:
		err := fault.Errorf(fault.Invalid, "a ceremony of %d documents is too large: a role that names so much keeps it in bins, and each is signed", n)
		return all, fault.Hint(err, "hold enough of the role's keys on one machine for this change, or name them with --with URI")
	}
	return all, nil
}

// document adds a role, or a group or bin of one, unless it says nothing new and
// is signed again by keys that are held.
func (d *draft) document(ctx context.Context, s *signing, ch Changes, name string, all *documents) error {
	t := d.signed[name]
	was, err := d.follows(ctx, name)
	if err != nil {
		return err
	}
	by, _ := d.speakers(name)
	if d.abandoned(name) {
		return d.leave(name, by, ch.Held)
	}
	old := (was == nil && ch.Init) || (was != nil && saysNothingNew(name, t, was.Signed))
	if old && by.held(ch.Held) {
		return nil
	}
	if was != nil {
		all.current[name], t.Version = was, was.Signed.Version
	}
	if err := s.stamp(&t.header, name); err != nil {
		return err
	}
	all.proposed[name] = t
	return nil
}

// leave leaves it to [Repository.Finish] to begin a role anew that was dropped: a
// ceremony has nothing that vouches for the version that it had.
func (d *draft) leave(name string, by signedBy, held func(*Key) bool) error {
	if by.held(held) && len(d.signed[name].Targets) == 0 {
		return nil
	}
	err := fault.Errorf(fault.Conflict, "there was a role %q before, with other keys: a ceremony cannot make it again", name)
	return fault.Hint(err, "call the new role otherwise; or make it again where enough of its keys are: plimsoll trust delegate %s %s --key URI", d.gun, name)
}

// saysNothingNew reports whether now says what was said before, but for the keys
// of the role's own bins, which follow the role's.
func saysNothingNew(name string, now, was *targets) bool {
	return same(now.withoutBins(name).encode(), was.withoutBins(name).encode())
}

// withoutBins returns t without the keys of the own bins of the role that name
// belongs to.
func (t *targets) withoutBins(name string) *targets {
	c := copyTargets(t)
	if c.Delegations == nil {
		return c
	}
	for i := range c.Delegations.Roles {
		if r := &c.Delegations.Roles[i]; ownerOf(r.Name) != r.Name && ownerOf(r.Name) == ownerOf(name) {
			r.keyRole = keyRole{}
		}
	}
	c.Delegations.prune()
	return c
}

// follows returns what a role, or a group or bin of one, says now; nil if it
// never signed.
func (d *draft) follows(ctx context.Context, name string) (*metadata[*targets], error) {
	if d.trusted == nil {
		return nil, nil
	}
	if name == RoleTargets {
		return d.trusted.targets, nil
	}
	s, ok := d.spoke(ownerOf(name))
	if !ok {
		return nil, nil
	}
	m, err := d.trusted.role(ctx, name, s.keys, s.need)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	return m, err
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
