package trust

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"plimsoll/internal/fault"
)

// Journal is what a [Change] may also be: one whose store cannot keep a late
// write from overwriting a newer one, and so remembers the last updates apart
// from the collection. What it returns is not believed.
type Journal interface {
	// Recent returns the update that is remembered in the place of the timestamp
	// version given: that version, or another that shares its place. NotFound if
	// there is none.
	Recent(ctx context.Context, version int64) (Collection, error)
}

// maxRecent bounds how many updates of a journal are looked at.
const maxRecent = 32

// candidate is a collection that may be the newest.
type candidate struct {
	Collection
	stamp   []byte // its timestamp file
	version int64
}

// candidate reads which version c claims to be; not ok if it is no collection.
func (r *Repository) candidate(ctx context.Context, c Collection) (k candidate, ok bool, err error) {
	file, err := c.Read(ctx, fileName(RoleTimestamp, 0), r.cfg.Client.cfg.Limits.Timestamp)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Untrusted) {
		return candidate{}, false, nil
	} else if err != nil {
		return candidate{}, false, err
	}
	m, err := parse(file, decodeTimestamp)
	if err != nil {
		return candidate{}, false, nil //nolint:nilerr // what does not parse is no collection
	}
	return candidate{c, file, m.Signed.Version}, true, nil
}

// candidates returns the base of change and what its journal has of the same
// version or a newer one, newest first and the base before others of its
// version. In all but a few cases that is the base alone.
func (r *Repository) candidates(ctx context.Context, change Change) ([]candidate, error) {
	base, ok, err := r.candidate(ctx, change.Base())
	if err != nil || !ok {
		return []candidate{{Collection: change.Base()}}, err
	}
	all := []candidate{base}
	journal, ok := change.(Journal)
	if !ok {
		return all, nil
	}
	for at, n := base.version, 0; n < maxRecent; n++ {
		c, err := journal.Recent(ctx, at)
		if err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Untrusted) {
			return nil, err
		}
		var k candidate
		if err == nil {
			if k, ok, err = r.candidate(ctx, c); err != nil {
				return nil, err
			}
		}
		switch {
		case ok && k.version >= at:
			at = k.version + 1
			if !bytes.Equal(k.stamp, base.stamp) {
				all = append(all, k)
			}
		case at == base.version:
			at++
		default:
			n = maxRecent
		}
		ok = false
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(b.version, a.version) })
	return all, nil
}

// newest opens the newest of the collections that verifies, and returns those of
// the same version beside it. What does not verify is passed over, unless it is
// the base: a journal can be written to by whoever can write to the registry.
func (r *Repository) newest(ctx context.Context, change Change) (*Trusted, []candidate, error) {
	all, err := r.candidates(ctx, change)
	if err != nil {
		return nil, nil, err
	}
	var refused error
	for i, k := range all {
		t, err := r.cfg.Client.open(ctx, r.cfg.GUN, r.cfg.Pins, k.Collection, true)
		switch {
		case err == nil && (k.stamp == nil || bytes.Equal(t.timestamp.file, k.stamp)):
			beside := slices.DeleteFunc(slices.Delete(all, i, i+1), func(o candidate) bool { return o.version != k.version })
			return t, beside, nil
		case err == nil: // it is remembered as it was, and somebody wrote over it
			err = fault.Errorf(fault.Untrusted, "timestamp metadata %d of %q was issued twice", k.version, r.cfg.GUN)
			if e := t.Close(); e != nil {
				return nil, nil, errors.Join(err, e)
			}
		case !fault.Is(err, fault.Untrusted):
			return nil, nil, err
		}
		if refused == nil || k.Collection == change.Base() {
			refused = err
		}
	}
	return nil, nil, refused
}

// adopted is metadata that was lost, as it was signed.
type adopted struct {
	file    []byte
	version int64
}

// merge takes into d what a collection of the same version says and d does not:
// two publishers were let in at once, and one wrote over the other. Each file
// counts for itself, and only if the keys signed it that speak for its role
// today: a journal is no way around a key that was taken away. before has the
// version that both began with; it is nil if nobody has it any more.
func (d *draft) merge(ctx context.Context, lost, before *Trusted) error {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(lost.snapshot.Signed.Meta)), func(n string) bool { return n == RoleTargets })
	for _, name := range append([]string{RoleTargets}, names...) {
		if err := d.mergeFile(ctx, name, lost, before); err != nil && !skippable(err) {
			return err
		}
	}
	return nil
}

// skippable reports whether the error is about what was lost, and not about
// reaching it.
func skippable(err error) bool {
	return fault.Is(err, fault.NotFound) || fault.Is(err, fault.Untrusted)
}

func (d *draft) mergeFile(ctx context.Context, name string, lost, before *Trusted) error {
	theirs := lost.snapshot.Signed.Meta[name]
	mine, known := d.trusted.snapshot.Signed.Meta[name]
	if known && (theirs.Version < mine.Version || (theirs.Version == mine.Version && maps.Equal(theirs.Hashes, mine.Hashes))) {
		return nil
	}
	s, err := d.speaks(ownerOf(name))
	if err != nil {
		return err
	}
	m, err := lost.role(ctx, name, s.keys, s.need)
	if err != nil {
		return err
	}
	if !known || theirs.Version > mine.Version {
		d.regain(name, m)
		return nil
	}
	if before == nil {
		return nil // what either of them removed is not known: what is published stands
	}
	base, err := before.role(ctx, name, s.keys, s.need)
	if err != nil || base.Signed.Version != mine.Version-1 {
		return err
	}
	t, err := d.change(ctx, name)
	if err != nil {
		return err
	}
	return t.take(base.Signed, m.Signed)
}

// regain takes lost metadata as it is.
func (d *draft) regain(name string, m *metadata[*targets]) {
	d.adopted[name] = adopted{m.file, m.Signed.Version}
	if name == RoleTargets {
		d.top = copyTargets(m.Signed)
		return
	}
	d.read[name] = m.Signed
}

// take does to t what made other out of base. Where t was changed as well a
// removal wins, and otherwise t stays.
func (t *targets) take(base, other *targets) error {
	for _, name := range slices.Sorted(maps.Keys(base.Targets)) {
		if _, there := other.Targets[name]; !there {
			delete(t.Targets, name)
		}
	}
	for name, theirs := range other.Targets {
		was, old := base.Targets[name]
		mine, there := t.Targets[name]
		if (!old && !there) || (there && old && mine.equal(was)) {
			t.Targets[name] = theirs
		}
	}
	if t.Delegations.equal(base.Delegations) && other.Delegations != nil {
		t.Delegations = copyTargets(other).Delegations
	}
	return nil
}

func (t target) equal(o target) bool { return same(t.encode(), o.encode()) }

func (d *delegations) equal(o *delegations) bool {
	if d == nil || o == nil {
		return d == o
	}
	return same(d.encode(), o.encode())
}

// begin opens what a change begins with: the newest collection, together with
// what of its version was lost.
func (r *Repository) begin(ctx context.Context, change Change) (*draft, error) {
	t, beside, err := r.newest(ctx, change)
	if err != nil {
		return nil, err
	}
	d := draftOf(t)
	if len(beside) == 0 {
		return d, nil
	}
	var before *Trusted
	if journal, ok := change.(Journal); ok {
		if c, err := journal.Recent(ctx, beside[0].version-1); err == nil {
			before = r.alone(ctx, t, c)
		}
	}
	for _, k := range beside {
		if lost := r.alone(ctx, t, k.Collection); lost != nil {
			if err := d.merge(ctx, lost, before); err != nil {
				return nil, errors.Join(err, t.Close())
			}
		}
	}
	return d, nil
}

// alone verifies a collection by itself, without what is remembered; nil if it
// does not verify or has another root than t.
func (r *Repository) alone(ctx context.Context, t *Trusted, c Collection) *Trusted {
	other := &Trusted{gun: r.cfg.GUN, collection: c, mem: newOverlay(nil)}
	if err := r.cfg.Client.refresh(ctx, other, r.cfg.Pins, true); err != nil {
		return nil
	}
	if !bytes.Equal(other.root.file, t.root.file) {
		return nil
	}
	return other
}
