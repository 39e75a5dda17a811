package trust

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"plimsoll/internal/fault"
)

// errPublished ends a finish that finds its own work done.
var errPublished = errors.New("the ceremony is published already")

// Finish publishes the ceremony with the answers of its holders, and signs with
// keys that are held here what else it takes: snapshot, timestamp, and roles
// that have new keys. Untrusted if an answer is not good or signatures are
// missing, Conflict if the collection is no longer what the ceremony stands on,
// Denied if the ceremony has ended. If it was published before, nothing is done
// and published is false.
func (r *Repository) Finish(ctx context.Context, c *Ceremony, answers []*Answer) (published bool, err error) {
	g, err := r.complete(c, answers)
	if err != nil {
		return false, err
	}
	if c.Starts() {
		err = r.publish(ctx, func(change Change) (*draft, error) { return r.startDraft(ctx, c, g, change) })
	} else {
		err = r.edit(ctx, func(d *draft) error { return d.finish(ctx, c, g) })
	}
	if errors.Is(err, errPublished) {
		return false, nil
	}
	return err == nil, err
}

// complete returns the answers' signatures if they are all that it takes.
func (r *Repository) complete(c *Ceremony, answers []*Answer) (*given, error) {
	if c.gun != r.cfg.GUN {
		return nil, fault.Errorf(fault.Usage, "the ceremony is for %q, not for %q", c.gun, r.cfg.GUN)
	}
	if err := c.Open(r.cfg.Client.cfg.Now()); err != nil {
		return nil, err
	}
	needs, err := c.Tally(answers)
	if err != nil {
		return nil, err
	}
	for _, n := range needs {
		if missing := n.Missing(); missing > 0 {
			err := fault.Errorf(fault.Untrusted, "%s takes %d more of the keys of %s: %s", n.Role, missing, n.By, strings.Join(n.Waiting(), ", "))
			return nil, fault.Hint(err, "their holders run: plimsoll trust ceremony sign FILE --key URI")
		}
	}
	return c.given(answers)
}

// Waiting returns the fingerprints of the keys that have not signed.
func (n Need) Waiting() []string {
	var all []string
	for _, k := range n.Keys {
		if !k.Signed {
			all = append(all, k.Fingerprint)
		}
	}
	return all
}

// startDraft is the draft of a ceremony that starts a collection.
func (r *Repository) startDraft(ctx context.Context, c *Ceremony, g *given, change Change) (*draft, error) {
	if base := change.Base(); base != nil {
		t := &Trusted{gun: c.gun, collection: base, limits: r.cfg.Client.cfg.Limits}
		if m, err := t.rootAt(ctx, 1); err == nil && m != nil && bytes.Equal(m.signed, c.root.message) {
			return nil, errPublished
		}
		err := fault.Errorf(fault.Conflict, "%q has trust data already, which is not what this ceremony starts", c.gun)
		return nil, fault.Hint(err, "plimsoll trust pin %s shows its root", c.gun)
	}
	d := &draft{gun: c.gun, top: newTargets(c.gun), signed: map[string]*targets{}, read: map[string]*targets{}}
	return d, d.enact(ctx, c, g)
}

// finish turns d, the collection as it is now, into what the ceremony makes of
// it.
func (d *draft) finish(ctx context.Context, c *Ceremony, g *given) error {
	if err := d.stands(ctx, c); err != nil {
		return err
	}
	return d.enact(ctx, c, g)
}

// enact puts the ceremony's documents into d. Roles whose keys change are signed
// again, with their bins.
func (d *draft) enact(ctx context.Context, c *Ceremony, g *given) error {
	d.given = g
	if c.root != nil {
		r := *c.root.signed
		d.root, d.newRoot = &r, true
	}
	for name, p := range c.roles {
		d.signed[name] = copyTargets(p.signed)
	}
	if t := d.signed[RoleTargets]; t != nil {
		d.top = t
	}
	if d.trusted == nil {
		d.signed[RoleTargets] = d.top
		return nil
	}
	for _, role := range append([]string{RoleTargets}, d.delegated()...) {
		d.revive(role)
		before, ok := d.spoke(role)
		now, err := d.speaks(role)
		if err != nil {
			return err
		}
		if ok && !before.same(now) {
			if err := d.again(ctx, role); err != nil {
				return err
			}
		}
	}
	return nil
}

// stands returns a Conflict unless the collection is still what the ceremony
// stands on, and errPublished if it is what the ceremony made of it.
func (d *draft) stands(ctx context.Context, c *Ceremony) error {
	if done, err := d.holds(ctx, c); err != nil || done {
		return errors.Join(err, ifDone(done))
	}
	now := d.trusted.root
	if base := c.base(); now.Signed.Version != base.Signed.Version || !bytes.Equal(now.signed, base.signed) {
		return moved(c, "%s was published meanwhile, the ceremony stands on %s", rootName(now.Signed.Version), rootName(base.Signed.Version))
	}
	for _, role := range slices.Sorted(maps.Keys(c.roles)) {
		m, err := d.follows(ctx, role)
		if err != nil {
			return err
		}
		was := c.current[role]
		if _, lost := d.adopted[role]; lost || d.signed[role] != nil {
			err := fault.Errorf(fault.Conflict, "of %s an update was written over and found again; the ceremony knows nothing of it", shown(role))
			return fault.Hint(err, "plimsoll trust refresh %s --force publishes it; after that begin again: plimsoll trust ceremony begin %s FILE", c.gun, c.gun)
		}
		switch {
		case (m == nil) != (was == nil), m != nil && !bytes.Equal(m.signed, was.signed):
			return moved(c, "%s was signed meanwhile, the ceremony stands on what it said before", shown(role))
		}
	}
	return nil
}

func ifDone(done bool) error {
	if done {
		return errPublished
	}
	return nil
}

func moved(c *Ceremony, format string, args ...any) error {
	err := fault.Errorf(fault.Conflict, format, args...)
	return fault.Hint(err, "begin again, from what is there now: plimsoll trust ceremony begin %s FILE", c.gun)
}

// holds reports whether the ceremony's documents are published: its root lies in
// the chain, or, without one, its roles say what was proposed.
func (d *draft) holds(ctx context.Context, c *Ceremony) (bool, error) {
	if c.root != nil {
		version := c.root.signed.Version
		if d.trusted.root.Signed.Version < version {
			return false, nil
		}
		m, err := d.trusted.rootAt(ctx, version)
		return err == nil && m != nil && bytes.Equal(m.signed, c.root.message), err
	}
	for role, p := range c.roles {
		m, err := d.follows(ctx, role)
		if err != nil || m == nil || !bytes.Equal(m.signed, p.message) {
			return false, err
		}
	}
	return true, nil
}
