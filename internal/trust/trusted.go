package trust

import (
	"context"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// Trusted is a collection after a refresh: every file in it was verified at one
// moment. Delegated roles are read when they are asked for. It is for one
// goroutine.
type Trusted struct {
	gun        ref.GUN // "" if plain
	plain      bool    // any TUF repository, not a collection of ours: no GUN is demanded
	collection Collection
	mem        memory
	now        time.Time // the one time of this refresh
	limits     Limits
	expired    bool // expired metadata is not refused
	close      func() error

	root      *metadata[*root]
	timestamp *metadata[*timestamp]
	snapshot  *metadata[*snapshot]
	targets   *metadata[*targets]
	roles     map[string]*metadata[*targets] // files of targets roles that were read; each use verifies again
}

// Close unlocks the state of the GUN.
func (t *Trusted) Close() error {
	if t.close == nil {
		return nil
	}
	return t.close()
}

// fetch reads a file that must be there.
func (t *Trusted) fetch(ctx context.Context, name string, limit int64) ([]byte, error) {
	file, err := t.collection.Read(ctx, name, limit)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil, fault.Errorf(fault.Untrusted, "%q is missing", name)
	case err != nil:
		return nil, err
	case int64(len(file)) > limit:
		return nil, fault.Errorf(fault.Untrusted, "%q is longer than %d bytes", name, limit)
	}
	return file, nil
}

// fresh refuses metadata that has expired: a registry that shows only old
// metadata hides what came after it (freeze attack).
func (t *Trusted) fresh(role string, h *header) error {
	if t.expired || t.now.Before(h.Expires) {
		return nil
	}
	err := fault.Errorf(fault.Untrusted, "%s metadata expired at %s", role, h.Expires.Format(timeForm))
	if t.plain {
		return err
	}
	if role == RoleTimestamp || role == RoleSnapshot {
		return fault.Hint(err, "its publisher runs: plimsoll trust refresh %s", t.gun)
	}
	return fault.Hint(err, "its publisher signs again, with the keys of %s", role)
}

// ours checks what Plimsoll demands beyond the specification: that the signed
// part speaks for this collection's GUN. There every key ID must also be its
// key's hash; elsewhere IDs are names, since the reference clients take them so,
// and only public keys count.
func (t *Trusted) ours(h *header, ks keys) error {
	if t.plain {
		return nil
	}
	if err := checkGUN(h, t.gun); err != nil {
		return err
	}
	return ks.named()
}

// recall returns what is remembered of a role, or nil. What was written is
// verified before it is written: if it no longer parses or verifies it is
// damaged; a plain client, whose folder others write to as well, starts anew.
func recall[T body](t *Trusted, role string, decode func(*object) T, verify func(*metadata[T]) error) (*metadata[T], error) {
	file, err := t.mem.read(role)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	m, err := parse(file, decode)
	if err == nil {
		err = verify(m)
	}
	switch {
	case err != nil && t.plain && role != RoleRoot: // as clients of any repository do: it is read again
		return nil, nil
	case err != nil:
		return nil, t.mem.damaged(role, err)
	}
	return m, nil
}

// updateTimestamp follows TUF 1.0.34, 5.4.
func (t *Trusted) updateTimestamp(ctx context.Context) error {
	verify := func(m *metadata[*timestamp]) error {
		return m.verify(t.root.Signed.Keys, t.root.Signed.Roles[RoleTimestamp])
	}
	old, err := recall(t, RoleTimestamp, decodeTimestamp, verify)
	if err != nil {
		return err
	}
	file, err := t.fetch(ctx, fileName(RoleTimestamp, 0), t.limits.Timestamp)
	if err != nil {
		return err
	}
	m, err := parse(file, decodeTimestamp)
	if err == nil {
		err = verify(m)
	}
	if err != nil {
		return wrap(RoleTimestamp, err)
	}
	if old != nil {
		switch {
		case m.Signed.Version < old.Signed.Version:
			return rollback(RoleTimestamp, m.Signed.Version, old.Signed.Version)
		case m.Signed.Version == old.Signed.Version:
			m = old
		case m.Signed.Snapshot.Version < old.Signed.Snapshot.Version:
			return rollback(RoleSnapshot, m.Signed.Snapshot.Version, old.Signed.Snapshot.Version)
		}
	}
	if err := t.fresh(RoleTimestamp, m.Signed.head()); err != nil {
		return err
	}
	t.timestamp = m
	if m == old {
		return nil
	}
	return t.mem.write(RoleTimestamp, m.file)
}

// updateSnapshot follows 5.5.
func (t *Trusted) updateSnapshot(ctx context.Context) error {
	verify := func(m *metadata[*snapshot]) error {
		return m.verify(t.root.Signed.Keys, t.root.Signed.Roles[RoleSnapshot])
	}
	old, err := recall(t, RoleSnapshot, decodeSnapshot, verify)
	if err != nil {
		return err
	}
	promised := t.timestamp.Signed.Snapshot
	if old != nil && promised.Version < old.Signed.Version {
		return rollback(RoleSnapshot, promised.Version, old.Signed.Version)
	}
	m := old
	if old == nil || old.Signed.Version != promised.Version || promised.check(old.file) != nil {
		if m, err = fetchPromised(ctx, t, RoleSnapshot, promised, t.limits.Snapshot, decodeSnapshot); err != nil {
			return err
		}
		if err := verify(m); err != nil {
			return wrap(RoleSnapshot, err)
		}
		if err := notOlder(m.Signed, old); err != nil {
			return err
		}
	}
	if err := t.fresh(RoleSnapshot, m.Signed.head()); err != nil {
		return err
	}
	t.snapshot = m
	if m == old {
		return nil
	}
	return t.mem.write(RoleSnapshot, m.file)
}

// notOlder checks that s lists every role that old lists, in no older version
// (5.5.5).
func notOlder(s *snapshot, old *metadata[*snapshot]) error {
	if old == nil {
		return nil
	}
	for role, was := range old.Signed.Meta {
		now, ok := s.Meta[role]
		if !ok {
			return fault.Errorf(fault.Untrusted, "snapshot metadata no longer lists role %q", role)
		}
		if now.Version < was.Version {
			return rollback(role, now.Version, was.Version)
		}
	}
	return nil
}

// fetchPromised reads the file of role that snapshot or timestamp promise, and
// checks length, hashes and version, not signatures.
func fetchPromised[T body](ctx context.Context, t *Trusted, role string, promised metaFile, limit int64, decode func(*object) T) (*metadata[T], error) {
	version := promised.Version
	if !t.root.Signed.Consistent {
		version = 0
	}
	if promised.Length >= 0 {
		limit = min(limit, promised.Length)
	}
	file, err := t.fetch(ctx, fileName(role, version), limit)
	if err != nil {
		return nil, wrap(role, err)
	}
	if err := promised.check(file); err != nil {
		return nil, wrap(role, err)
	}
	m, err := parse(file, decode)
	if err != nil {
		return nil, wrap(role, err)
	}
	if got := m.Signed.head().Version; got != promised.Version {
		return nil, fault.Errorf(fault.Untrusted, "%s metadata has version %d, %d was promised", role, got, promised.Version)
	}
	return m, nil
}

func (t *Trusted) updateTargets(ctx context.Context) error {
	var err error
	t.targets, err = t.role(ctx, RoleTargets, t.root.Signed.Keys, t.root.Signed.Roles[RoleTargets])
	return err
}

// role returns a targets role's metadata, verified against the delegator's keys
// ks and requirement r as they are now, whether it was remembered or not (5.6).
// What was remembered and does not verify is read again: it may have been signed
// anew under the same version. NotFound if the role is delegated but was never
// signed, which is how a collection of ours begins; elsewhere somebody hides it.
func (t *Trusted) role(ctx context.Context, name string, ks keys, r keyRole) (*metadata[*targets], error) {
	promised, ok := t.snapshot.Signed.Meta[name]
	if !ok && t.plain {
		return nil, fault.Errorf(fault.Untrusted, "snapshot metadata does not list role %q", name)
	} else if !ok {
		return nil, fault.Errorf(fault.NotFound, "role %q has no metadata yet", name)
	}
	m := t.cached(name, promised)
	known := m != nil && t.authorised(m, ks, r) == nil
	if !known {
		var err error
		if m, err = fetchPromised(ctx, t, name, promised, t.limits.Targets, decodeTargets); err != nil {
			return nil, err
		}
		if err := t.authorised(m, ks, r); err != nil {
			return nil, wrap(name, err)
		}
	}
	if err := t.fresh(name, m.Signed.head()); err != nil {
		return nil, err
	}
	t.roles[name] = m
	if known {
		return m, nil
	}
	return m, t.mem.write(name, m.file)
}

// authorised checks that m is signed as its delegator demands, and ours. Bins
// that are only described are not: whoever looks at a collection of ours, to see
// what a key may sign, finds every role in a list.
func (t *Trusted) authorised(m *metadata[*targets], ks keys, r keyRole) error {
	if err := m.verify(ks, r); err != nil {
		return err
	}
	d := m.Signed.Delegations
	if !t.plain && d != nil && d.Succinct != nil {
		return fault.Errorf(fault.Untrusted, "succinct_roles stand where roles must be listed")
	}
	return t.ours(m.Signed.head(), d.keys())
}

// cached returns the remembered file of a targets role if it is the promised
// one, or nil. It is only a cache: what does not fit is read again.
func (t *Trusted) cached(name string, promised metaFile) *metadata[*targets] {
	if m := t.roles[name]; m != nil {
		return m
	}
	file, err := t.mem.read(name)
	if err != nil || promised.check(file) != nil {
		return nil
	}
	m, err := parse(file, decodeTargets)
	if err != nil || m.Signed.Version != promised.Version {
		return nil
	}
	return m
}
