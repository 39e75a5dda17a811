package ocistore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
)

// How a claim looks in a registry.
const (
	claimTag      = Tag + ".claim"
	claimType     = "application/vnd.plimsoll.trust.claim.v1"
	claimNumber   = "org.plimsoll.claim.number"
	claimTime     = "org.plimsoll.claim.time"
	claimReleased = "released"
)

// claimAge is how long a claim is respected: whoever made it is dead after that.
const claimAge = 10 * time.Minute

// claim says that a publisher is at work.
type claim struct {
	Number string
	Time   time.Time
}

// claim makes the collection of gun ours until it is released. It returns nil
// where the registry honours conditional requests: they make a claim needless.
func (s *Store) claim(ctx context.Context, gun ref.GUN) (*claim, error) {
	limit := time.NewTimer(s.cfg.Patience)
	defer limit.Stop()
	for {
		own, conditional, err := s.tryClaim(ctx, gun)
		if own != nil || conditional || err != nil {
			return own, err
		}
		select {
		case <-ctx.Done():
			return nil, fault.As(fault.Unavailable, ctx.Err())
		case <-limit.C:
			err := fault.Errorf(fault.Conflict, "another publisher has been at work for %s", s.cfg.Patience)
			return nil, fault.Hint(err, "try again; a claim that nobody gives back ends %s after it was made", claimAge)
		case <-time.After(s.putTime(gun) / 2):
		}
	}
}

// tryClaim puts a claim unless there is one, waits until no other PUT that began
// before it can still arrive, and looks whose the claim is. The PUT has a
// condition that cannot hold: a registry that refuses it honours conditions. It
// returns nil and false if somebody else was first.
func (s *Store) tryClaim(ctx context.Context, gun ref.GUN) (own *claim, conditional bool, err error) {
	// Looking and putting together may take as long as a PUT, so that a claim
	// that was overlooked is never overwritten later than the other side waits.
	quick, cancel := context.WithTimeout(ctx, s.putTime(gun))
	defer cancel()
	held, err := s.readClaim(quick, gun)
	if err != nil || (held != nil && !s.stale(held)) {
		return nil, false, s.slow(ctx, err)
	}
	own = &claim{Number: rand.Text(), Time: s.cfg.Now().UTC().Truncate(time.Second)}
	err = s.putClaim(quick, gun, own, oci.Condition{IfMatch: impossible})
	if fault.Is(err, fault.Conflict) {
		return nil, true, nil
	} else if err != nil {
		// It may have arrived all the same, and nobody else would wait for less
		// than its whole age.
		return nil, false, errors.Join(s.slow(ctx, err), s.release(context.WithoutCancel(ctx), gun, own))
	}
	select {
	case <-ctx.Done():
		return nil, false, errors.Join(fault.As(fault.Unavailable, ctx.Err()), s.release(context.WithoutCancel(ctx), gun, own))
	case <-time.After(s.putTime(gun) * 5 / 4):
	}
	if held, err = s.readClaim(ctx, gun); err != nil {
		return nil, false, errors.Join(err, s.release(context.WithoutCancel(ctx), gun, own))
	}
	if held == nil || held.Number != own.Number {
		return nil, false, nil
	}
	return own, false, nil
}

// slow says so if err is about a registry that took longer than a PUT may.
func (s *Store) slow(ctx context.Context, err error) error {
	if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	err = fault.Errorf(fault.Unavailable, "the registry answers too slowly to keep publishers apart: %w", err)
	return fault.Hint(err, "nothing was published: try again")
}

// impossible is an entity tag that no manifest has: the digest is that of
// nothing we ever push.
const impossible = `"sha256:0000000000000000000000000000000000000000000000000000000000000000"`

// stale reports whether a claim may be taken over. One from the far future is
// stale too: nobody could wait for its end.
func (s *Store) stale(c *claim) bool {
	return s.cfg.Now().Sub(c.Time).Abs() > claimAge
}

// readClaim returns the claim that the registry holds, or nil. One that cannot
// be understood counts as given back.
func (s *Store) readClaim(ctx context.Context, gun ref.GUN) (*claim, error) {
	m, err := s.cfg.Registry.Manifest(ctx, gun.Reference().WithTag(claimTag))
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("look for another publisher's claim: %w", err)
	}
	return parseClaim(m.Bytes), nil
}

func parseClaim(b []byte) *claim {
	var m v1.Manifest
	if json.Unmarshal(b, &m) != nil || m.ArtifactType != claimType {
		return nil
	}
	at, err := time.Parse(time.RFC3339, m.Annotations[claimTime])
	number := m.Annotations[claimNumber]
	if err != nil || number == "" || number == claimReleased {
		return nil
	}
	return &claim{Number: number, Time: at}
}

func (s *Store) putClaim(ctx context.Context, gun ref.GUN, c *claim, cond oci.Condition) error {
	if err := s.pushBlob(ctx, gun, v1.DescriptorEmptyJSON, v1.DescriptorEmptyJSON.Data); err != nil {
		return err
	}
	m := artifact(claimType)
	empty := m.Config
	m.Layers = []v1.Descriptor{empty}
	m.Annotations = map[string]string{claimNumber: c.Number, claimTime: c.Time.Format(time.RFC3339)}
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode claim: %w", err)
	}
	return s.put(ctx, gun, claimTag, b, cond)
}

// release gives c back, if it is still there. Where a registry deletes no tags
// the claim is marked instead.
func (s *Store) release(ctx context.Context, gun ref.GUN, c *claim) error {
	ctx, cancel := context.WithTimeout(ctx, 2*s.putTime(gun))
	defer cancel()
	held, err := s.readClaim(ctx, gun)
	if err != nil || held == nil || held.Number != c.Number {
		return err
	}
	if err := s.cfg.Registry.Delete(ctx, gun.Reference().WithTag(claimTag)); err == nil {
		return nil
	}
	return s.putClaim(ctx, gun, &claim{Number: claimReleased, Time: c.Time}, oci.Condition{})
}
