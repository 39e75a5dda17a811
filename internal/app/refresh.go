package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

// Refreshed is what one look at a repository's trust data found, and did.
type Refreshed struct {
	Signed bool          // snapshot and timestamp were signed again
	Status *trust.Status // as it is afterwards
	Times  trust.Expiries
}

// Refresh signs snapshot and timestamp of p's repository again, if one of them
// has less than half of its life left, or if force is set.
func (p *Publisher) Refresh(ctx context.Context, force bool) (Refreshed, error) {
	gun := p.Record.GUN
	status, err := p.trust.status(ctx, gun, false)
	if err != nil {
		return Refreshed{}, err
	}
	r := Refreshed{Status: status, Times: p.expiries}
	if !force && !p.expiries.Due(status) {
		return r, nil
	}
	if err := p.Repository.Refresh(ctx); err != nil {
		return r, err
	}
	r.Signed = true
	r.Status, err = p.trust.status(ctx, gun, false)
	return r, err
}

// Status returns how the trust data of gun stands; expired metadata is no error.
func (t *Trust) Status(ctx context.Context, gun ref.GUN) (*trust.Status, error) {
	return t.status(ctx, gun, true)
}

// status is Status; what lies in bins is counted if count is set.
func (t *Trust) status(ctx context.Context, gun ref.GUN, count bool) (s *trust.Status, err error) {
	pins, err := t.Known(gun)
	if err != nil {
		return nil, err
	}
	trusted, err := t.Client.Inspect(ctx, gun, pins)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, trusted.Close()) }()
	if s, err = trusted.Status(ctx); err == nil && count {
		err = trusted.CountBins(ctx, s)
	}
	return s, err
}

// Held implements [trust.Holder]: it reports whether this machine knows where the private half of k is.
func (p *Publisher) Held(k *trust.Key) bool {
	return p.open[k.Fingerprint] != nil || p.Record.URI(k.Fingerprint) != ""
}

// Keeper keeps the trust data of repositories fresh until it is told to stop.
type Keeper struct {
	GUNs    []ref.GUN
	Every   time.Duration // between two looks at a repository
	Refresh func(ctx context.Context, gun ref.GUN) (Refreshed, error)
	Log     *slog.Logger
}

// firstRetry is how long the keeper waits after a first failure. It doubles up
// to [Keeper.Every].
const firstRetry = time.Minute

// turn is when a repository is looked at next.
type turn struct {
	gun   ref.GUN
	at    time.Time
	retry time.Duration // after the next failure
}

// Run looks at every repository now and every so often, until ctx ends, which is
// no error. Failures are logged and tried again, soon at first.
func (k *Keeper) Run(ctx context.Context) error {
	if len(k.GUNs) == 0 || k.Every <= 0 {
		return fault.Errorf(fault.Usage, "nothing to refresh")
	}
	turns := make([]*turn, 0, len(k.GUNs))
	for _, gun := range k.GUNs {
		turns = append(turns, &turn{gun, time.Now(), min(firstRetry, k.Every)})
	}
	for {
		next := turns[0]
		for _, t := range turns {
			if t.at.Before(next.at) {
				next = t
			}
		}
		timer := time.NewTimer(time.Until(next.at))
		select {
		case <-ctx.Done():
			timer.Stop()
			k.Log.Info("stopped")
			return nil
		case <-timer.C:
		}
		k.look(ctx, next)
	}
}

func (k *Keeper) look(ctx context.Context, t *turn) {
	r, err := k.Refresh(ctx, t.gun)
	switch {
	case ctx.Err() != nil:
		return // what failed did so because it was told to stop
	case err != nil:
		t.at = time.Now().Add(t.retry)
		k.Log.Error("trust data is not refreshed", slog.String("gun", string(t.gun)), slog.Any("error", err), slog.String("hint", fault.HintOf(err)), slog.Duration("retry", t.retry))
		t.retry = min(2*t.retry, k.Every)
		return
	case r.Signed:
		k.Log.Info("snapshot and timestamp are signed again", slog.String("gun", string(t.gun)))
	default:
		k.Log.Debug("trust data is fresh", slog.String("gun", string(t.gun)))
	}
	t.at, t.retry = time.Now().Add(k.Every), min(firstRetry, k.Every)
	k.warn(t.gun, r)
}

// warn says which roles expire soon: those that no service can sign.
func (k *Keeper) warn(gun ref.GUN, r Refreshed) {
	if r.Status == nil {
		return
	}
	for _, role := range r.Status.Roles {
		left := role.Expires.Sub(r.Status.Now)
		if !role.Expires.IsZero() && left < r.Times.Notice(role.Role) {
			k.Log.Warn("a role expires soon", slog.String("gun", string(gun)), slog.String("role", role.Role), slog.Time("expires", role.Expires.UTC()))
		}
	}
}
