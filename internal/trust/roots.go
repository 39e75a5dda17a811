package trust

import (
	"bytes"
	"context"
	"fmt"

	"plimsoll/internal/fault"
)

// startRoot sets the root that this refresh starts from (5.2): the remembered
// one if it rests on the same pins; otherwise the oldest that the pins name, and
// the remembered one must then lie on the same chain.
func (t *Trusted) startRoot(ctx context.Context, pins Pins) error {
	known, err := recall(t, RoleRoot, decodeRoot, t.checkRoot)
	if err != nil {
		return err
	}
	rested, err := t.mem.pins()
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if known != nil && rested.equal(pins) {
		t.root = known
		return nil
	}
	start, err := t.pinnedRoot(ctx, pins)
	if err != nil {
		return err
	}
	if t.root, err = t.joined(ctx, start, known); err != nil {
		return err
	}
	if known == nil || t.root.Signed.Version != known.Signed.Version {
		if err := t.remember(known, t.root); err != nil {
			return err
		}
	}
	return t.mem.writePins(pins)
}

// checkRoot checks what a root must be by itself: signed by its own keys, and
// this repository's.
func (t *Trusted) checkRoot(m *metadata[*root]) error {
	if err := m.verify(m.Signed.Keys, m.Signed.Roles[RoleRoot]); err != nil {
		return err
	}
	return t.ours(m.Signed.head(), m.Signed.Keys)
}

// rootAt reads the root of the given version and checks it by itself; nil if
// there is none.
func (t *Trusted) rootAt(ctx context.Context, version int64) (*metadata[*root], error) {
	file, err := t.collection.Read(ctx, fileName(RoleRoot, version), t.limits.Root)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	m, err := parse(file, decodeRoot)
	if err == nil && m.Signed.Version != version {
		err = fault.Errorf(fault.Untrusted, "it has version %d", m.Signed.Version)
	}
	if err == nil {
		err = t.checkRoot(m)
	}
	if err != nil {
		return nil, wrap(fmt.Sprintf("%s %d", RoleRoot, version), err)
	}
	return m, nil
}

// pinnedRoot returns the oldest root that names, and is signed by, enough of the
// pinned keys.
func (t *Trusted) pinnedRoot(ctx context.Context, pins Pins) (*metadata[*root], error) {
	for version := int64(1); version <= int64(t.limits.Roots); version++ {
		m, err := t.rootAt(ctx, version)
		if err != nil {
			return nil, err
		}
		if m == nil {
			break
		}
		if pins.met(m) {
			return m, nil
		}
	}
	err := fault.Errorf(fault.Untrusted, "no root is signed by %d of the %d pinned keys", pins.Threshold, len(pins.Keys))
	return nil, fault.Hint(err, "plimsoll trust pin %s shows the keys that its root has; ask the publisher by another way which are right", t.gun)
}

// joined returns the newer of start and known, after walking the chain of roots
// from the older to the newer one: it must lead there.
func (t *Trusted) joined(ctx context.Context, start, known *metadata[*root]) (*metadata[*root], error) {
	if known == nil {
		return start, nil
	}
	older, newer := start, known
	if start.Signed.Version > known.Signed.Version {
		older, newer = known, start
	}
	for older.Signed.Version < newer.Signed.Version {
		next, err := t.nextRoot(ctx, older)
		if err != nil {
			return nil, err
		}
		if next == nil {
			break
		}
		older = next
	}
	if older.Signed.Version != newer.Signed.Version || !bytes.Equal(older.signed, newer.signed) {
		err := fault.Errorf(fault.Untrusted, "the chain of roots from the pinned keys does not contain root %d, which was trusted before", known.Signed.Version)
		return nil, t.mem.damaged(RoleRoot, err)
	}
	return newer, nil
}

// nextRoot returns the root that follows old, signed by the keys of both, or nil
// if there is none (5.3.3 to 5.3.5).
func (t *Trusted) nextRoot(ctx context.Context, old *metadata[*root]) (*metadata[*root], error) {
	next, err := t.rootAt(ctx, old.Signed.Version+1)
	if err != nil || next == nil {
		return nil, err
	}
	if err := next.verify(old.Signed.Keys, old.Signed.Roles[RoleRoot]); err != nil {
		return nil, wrap(fmt.Sprintf("%s %d, by the keys of the root before it,", RoleRoot, next.Signed.Version), err)
	}
	return next, nil
}

// updateRoot follows the chain of roots to its end (5.3).
func (t *Trusted) updateRoot(ctx context.Context) error {
	for n := 0; ; n++ {
		next, err := t.nextRoot(ctx, t.root)
		if err != nil {
			return err
		}
		if next == nil {
			return t.fresh(RoleRoot, t.root.Signed.head())
		}
		if n == t.limits.Roots {
			return fault.Errorf(fault.Untrusted, "more than %d new roots", t.limits.Roots)
		}
		if err := t.remember(t.root, next); err != nil {
			return err
		}
		t.root = next
	}
}

// remember makes next the trusted root. If the keys of timestamp or snapshot
// changed, what was remembered of both is deleted first (5.3.11): a thief who
// signed absurdly high versions with a key that has been taken away must not
// lock everybody out. In this order a crash in between leaves nothing that the
// new root does not verify.
func (t *Trusted) remember(old, next *metadata[*root]) error {
	if old != nil && keysChanged(old.Signed, next.Signed, RoleTimestamp, RoleSnapshot) {
		for _, role := range []string{RoleTimestamp, RoleSnapshot} {
			if err := t.mem.remove(role); err != nil {
				return err
			}
		}
	}
	return t.mem.write(RoleRoot, next.file)
}

func keysChanged(a, b *root, roles ...string) bool {
	for _, role := range roles {
		if !a.Roles[role].same(a.Keys, b.Roles[role], b.Keys) {
			return true
		}
	}
	return false
}

func rollback(role string, got, had int64) error {
	return fault.Errorf(fault.Untrusted, "%s metadata was rolled back to version %d, version %d was seen before", role, got, had)
}

func wrap(role string, err error) error { return fmt.Errorf("%s metadata: %w", role, err) }
