package trust

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

// farAhead is a version that no publisher reaches, and a thief writes to shut
// everybody out (fast-forward attack).
const farAhead = 1 << 40

// delegable is what a delegated role of ours may be called: what a person can
// type and a file can be called. Roles that others made may be called otherwise.
var delegable = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,39}$`)

// signing turns a draft into files.
type signing struct {
	keys     Keyring
	now      time.Time
	expiries Expiries
	makers   key.AttestationRoots
	given    *given // documents that a ceremony signed
	// restart: readers forget the versions of snapshot and timestamp, because
	// the root gives one of them other keys (5.3.11).
	restart bool
}

// signedBy is what a file must be signed by: each requirement by itself.
type signedBy struct {
	keys keys
	role keyRole
}

// update signs what changed, then snapshot and timestamp, and returns the files.
func (s *signing) update(ctx context.Context, d *draft) (Update, error) {
	u := Update{Put: map[string][]byte{}}
	s.restart = d.trusted != nil && keysChanged(d.trusted.root.Signed, d.root, RoleTimestamp, RoleSnapshot)
	if err := s.root(ctx, d, &u); err != nil {
		return u, err
	}
	meta := map[string]metaFile{}
	if d.trusted != nil {
		maps.Copy(meta, d.trusted.snapshot.Signed.Meta)
	}
	for name, a := range d.adopted {
		if old, ok := meta[name]; ok {
			u.Drop = append(u.Drop, fileName(name, old.Version))
		}
		meta[name] = describe(a.file, a.version)
		u.Put[fileName(name, a.version)] = a.file
	}
	for _, role := range slices.Sorted(maps.Keys(d.signed)) {
		if err := s.targets(ctx, d, role, meta, &u); err != nil {
			return u, err
		}
	}
	return u, s.online(ctx, d, meta, &u)
}

// root signs a new root by the keys of the old and of the new one.
func (s *signing) root(ctx context.Context, d *draft, u *Update) error {
	if !d.newRoot {
		return nil
	}
	if err := d.root.honest(s.makers); err != nil {
		return err
	}
	by := d.rootBy()
	if err := s.stamp(&d.root.header, RoleRoot); err != nil {
		return err
	}
	file, err := s.file(ctx, RoleRoot, d.root, by...)
	u.Put[fileName(RoleRoot, d.root.Version)] = file
	return err
}

// rootBy is what a new root must be signed by: enough keys of it, and of the one
// before it.
func (d *draft) rootBy() []signedBy {
	by := []signedBy{{d.root.Keys, d.root.Roles[RoleRoot]}}
	if d.trusted != nil {
		old := d.trusted.root.Signed
		by = append(by, signedBy{old.Keys, old.Roles[RoleRoot]})
	}
	return by
}

// targets signs one targets role, or one of its groups and bins.
func (s *signing) targets(ctx context.Context, d *draft, role string, meta map[string]metaFile, u *Update) error {
	t := d.signed[role]
	by, err := d.speaks(ownerOf(role))
	if err != nil {
		return err
	}
	if old, ok := meta[role]; ok {
		u.Drop = append(u.Drop, fileName(role, old.Version))
		delete(u.Put, fileName(role, old.Version))
		t.Version = old.Version
	}
	if err := s.stamp(&t.header, role); err != nil {
		return err
	}
	file, err := s.file(ctx, role, t, signedBy{by.keys, by.need})
	if err != nil {
		return err
	}
	meta[role] = describe(file, t.Version)
	u.Put[fileName(role, t.Version)] = file
	return nil
}

// online signs snapshot and timestamp.
func (s *signing) online(ctx context.Context, d *draft, meta map[string]metaFile, u *Update) error {
	snap := &snapshot{header: header{Type: RoleSnapshot}}
	stamp := &timestamp{header: header{Type: RoleTimestamp}}
	if t := d.trusted; t != nil {
		*snap, *stamp = *t.snapshot.Signed, *t.timestamp.Signed
		u.Drop = append(u.Drop, fileName(RoleSnapshot, snap.Version))
	}
	snap.Meta = meta
	if err := s.stamp(&snap.header, RoleSnapshot); err != nil {
		return err
	}
	file, err := s.file(ctx, RoleSnapshot, snap, signedBy{d.root.Keys, d.root.Roles[RoleSnapshot]})
	if err != nil {
		return err
	}
	u.Put[fileName(RoleSnapshot, snap.Version)] = file
	stamp.Snapshot = describe(file, snap.Version)
	if err := s.stamp(&stamp.header, RoleTimestamp); err != nil {
		return err
	}
	file, err = s.file(ctx, RoleTimestamp, stamp, signedBy{d.root.Keys, d.root.Roles[RoleTimestamp]})
	u.Put[fileName(RoleTimestamp, 0)] = file
	u.Version = stamp.Version
	return err
}

// stamp gives a role's next metadata its version and expiry.
func (s *signing) stamp(h *header, role string) error {
	if was := s.given.header(role); was != nil {
		h.Version, h.Expires = was.Version, was.Expires
		return nil
	}
	if h.Version >= maxVersion && (!s.restart || role == RoleRoot) {
		err := fault.Errorf(fault.Untrusted, "%s metadata has the highest version there is: somebody else signed it", role)
		return fault.Hint(err, "its key is stolen: rotate it, and snapshot and timestamp with it, in one command")
	}
	if s.restart && h.Version >= farAhead && role != RoleRoot {
		h.Version = 0
	}
	h.Version++
	h.Expires = s.now.UTC().Add(s.expiries.of(ownerOf(role))).Truncate(time.Second)
	return nil
}

// file returns the metadata file of b, signed as by says.
func (s *signing) file(ctx context.Context, role string, b body, by ...signedBy) ([]byte, error) {
	signed := b.encode()
	message, err := canonical(signed)
	if err != nil {
		return nil, err
	}
	done := map[string]map[string]any{} // fingerprint → signature
	sign := s.sign
	if s.given.header(role) != nil {
		sign = s.given.sign
	}
	for _, need := range by {
		if err := sign(ctx, role, message, need, done); err != nil {
			return nil, err
		}
	}
	signatures := make([]any, 0, len(done))
	for _, f := range slices.Sorted(maps.Keys(done)) {
		signatures = append(signatures, done[f])
	}
	return encodeJSON(map[string]any{"signed": signed, "signatures": signatures})
}

// sign adds signatures to done until need is met. A key that cannot be opened
// (a token in a safe) is passed over while others do.
func (s *signing) sign(ctx context.Context, role string, message []byte, need signedBy, done map[string]map[string]any) error {
	var problems []error
	count := 0
	held := need.role.of(need.keys)
	for _, k := range held {
		if done[k.Fingerprint] != nil {
			count++
		}
	}
	for _, k := range held {
		if count >= need.role.Threshold {
			return nil
		}
		if done[k.Fingerprint] != nil {
			continue
		}
		sig, err := s.one(ctx, k, message)
		if ctx.Err() != nil {
			return fault.As(fault.Unavailable, ctx.Err())
		}
		if err != nil {
			if !fault.Is(err, fault.NotFound) {
				problems = append(problems, err)
			}
			continue
		}
		done[k.Fingerprint] = map[string]any{"keyid": k.ID, "sig": hex.EncodeToString(sig)}
		count++
	}
	if count >= need.role.Threshold {
		return nil
	}
	err := fault.Errorf(fault.Unavailable, "role %q takes signatures by %d of its %d keys, %d are at hand", role, need.role.Threshold, len(held), count)
	if len(problems) > 0 {
		return fmt.Errorf("%w: %w", err, errors.Join(problems...))
	}
	return fault.Hint(err, "plimsoll trust status shows which they are; name those that are here with --key URI (sign) or --with URI (trust); where they are held elsewhere: plimsoll trust ceremony")
}

func (s *signing) one(ctx context.Context, k *Key, message []byte) ([]byte, error) {
	signer, err := s.keys.Signer(ctx, k)
	if err != nil {
		return nil, err
	}
	sig, err := signer.Sign(ctx, message)
	if err != nil {
		return nil, fmt.Errorf("sign with key %s: %w", k.Fingerprint, err)
	}
	if err := key.Verify(k.Public, message, sig); err != nil {
		return nil, fault.As(fault.Unavailable, fmt.Errorf("what key %s signed does not verify: %w", k.Fingerprint, err))
	}
	return sig, nil
}
