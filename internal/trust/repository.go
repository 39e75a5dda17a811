package trust

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/ref"
)

// Keyring opens the keys that are held here.
type Keyring interface {
	// Signer returns the signer for k; NotFound if k is not held here. It stays
	// the keyring's, which closes it.
	Signer(ctx context.Context, k *Key) (key.Signer, error)
}

// Expiries are how long metadata is valid after it was signed, by role;
// "delegated" stands for delegated roles. Roles that are not there have the time
// of [DefaultExpiries].
type Expiries map[string]time.Duration

// RoleDelegated stands for every delegated role in [Expiries].
const RoleDelegated = "delegated"

const day = 24 * time.Hour

// DefaultExpiries returns the times of a collection that no service refreshes.
func DefaultExpiries() Expiries {
	return Expiries{
		RoleRoot: 365 * day, RoleTargets: 365 * day, RoleDelegated: 365 * day,
		RoleSnapshot: 7 * day, RoleTimestamp: 14 * day,
	}
}

func (e Expiries) of(role string) time.Duration {
	if !isTopLevel(role) {
		role = RoleDelegated
	}
	if d := e[role]; d > 0 {
		return d
	}
	return DefaultExpiries()[role]
}

// RepositoryConfig is what a [Repository] needs.
type RepositoryConfig struct {
	GUN      ref.GUN
	Store    Store
	Client   *Client // verifies what is there before anything is signed on top of it
	Pins     Pins    // not needed by Init
	Keys     Keyring
	Expiries Expiries
	Makers   key.AttestationRoots // a root is not signed that claims of keys what these do not vouch for
	// Announce, if set, is called before the first signature of each attempt with
	// what will be signed. If it returns an error nothing is.
	Announce func(ctx context.Context, all []Asked) error
	Tries    int // attempts when somebody else publishes at the same time; 0 means 8
}

// Repository is the publisher's side of one trust collection. Every change reads
// the collection, verifies it as a client does (expired metadata is taken: it is
// about to be signed again), signs, and publishes all of it at once or nothing.
type Repository struct{ cfg RepositoryConfig }

// NewRepository returns the repository.
func NewRepository(cfg RepositoryConfig) *Repository {
	if cfg.Tries == 0 {
		cfg.Tries = 8
	}
	return &Repository{cfg}
}

// InitConfig says who speaks for a new collection. Role keys that are nil are
// Targets'.
type InitConfig struct {
	Root          []*Key
	RootThreshold int
	Targets       []*Key
	Snapshot      []*Key
	Timestamp     []*Key
}

// Init starts the collection. Conflict if there is one already; of the root's
// keys at least the threshold must be held here.
func (r *Repository) Init(ctx context.Context, c InitConfig) error {
	return r.publish(ctx, func(change Change) (*draft, error) {
		if change.Base() != nil {
			err := fault.Errorf(fault.Conflict, "%q has trust data already", r.cfg.GUN)
			return nil, fault.Hint(err, "plimsoll trust pin %s shows its root", r.cfg.GUN)
		}
		return newDraft(r.cfg.GUN, c)
	})
}

// RoleConfig describes a delegated role.
type RoleConfig struct {
	Name      string
	Keys      []*Key
	Threshold int
	Paths     []string // patterns of target paths; nil for all tags and digests
}

// Delegate makes a role, or changes the keys and paths of one. Top-level targets
// keys must be held here. A new role has no metadata until somebody signs as it;
// one that has signed before is signed again, with its new keys.
func (r *Repository) Delegate(ctx context.Context, c RoleConfig) error {
	return r.edit(ctx, func(d *draft) error { return d.delegate(ctx, c) })
}

// Rotate gives roles new keys; threshold 0 keeps each one's. A top-level role
// takes a new root, signed by enough keys of the old and of the new one; a
// delegated role takes new targets metadata. What the old keys signed is signed
// again with the new ones.
func (r *Repository) Rotate(ctx context.Context, roles []string, ks []*Key, threshold int) error {
	return r.edit(ctx, func(d *draft) error {
		for _, role := range roles {
			if err := d.rotate(ctx, role, ks, threshold); err != nil {
				return err
			}
		}
		return nil
	})
}

// Sign names the images in role's metadata.
func (r *Repository) Sign(ctx context.Context, role string, images ...Image) error {
	for i := range images {
		if err := images[i].check(); err != nil {
			return err
		}
	}
	return r.edit(ctx, func(d *draft) error {
		for i := range images {
			if err := d.add(ctx, role, &images[i]); err != nil {
				return err
			}
		}
		life := r.cfg.Expiries.of(role)
		return d.fit(ctx, role, r.cfg.Client.cfg.Now().Add(life/4))
	})
}

// Refresh signs snapshot and timestamp again, so that they do not expire.
func (r *Repository) Refresh(ctx context.Context) error {
	return r.edit(ctx, func(*draft) error { return nil })
}

// edit changes an existing collection.
func (r *Repository) edit(ctx context.Context, fn func(*draft) error) error {
	return r.publish(ctx, func(change Change) (*draft, error) {
		if change.Base() == nil { // says that there is nothing, or that it is gone
			_, err := r.cfg.Client.open(ctx, r.cfg.GUN, r.cfg.Pins, nil, true)
			return nil, err
		}
		d, err := r.begin(ctx, change)
		if err != nil {
			return nil, err
		}
		if err := fn(d); err != nil {
			return nil, errors.Join(err, d.close())
		}
		return d, nil
	})
}

// publish makes a draft, signs it and writes it, again and again while somebody
// else is faster.
func (r *Repository) publish(ctx context.Context, build func(Change) (*draft, error)) error {
	for try := 1; ; try++ {
		err := r.attempt(ctx, build)
		if !fault.Is(err, fault.Conflict) || try == r.cfg.Tries || !errors.Is(err, errLost) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, fault.As(fault.Unavailable, ctx.Err()))
		case <-time.After(time.Duration(try) * time.Duration(50+rand.IntN(200)) * time.Millisecond): //nolint:gosec // spreads attempts, is no secret
		}
	}
}

// errLost marks a conflict in which trying again makes sense.
var errLost = errors.New("somebody else published at the same moment")

func (r *Repository) attempt(ctx context.Context, build func(Change) (*draft, error)) (err error) {
	change, err := r.cfg.Store.Begin(ctx, r.cfg.GUN)
	if err != nil {
		return lost(err)
	}
	// The claim is given back even if ctx was cancelled meanwhile.
	defer func() { err = errors.Join(err, change.Close(context.WithoutCancel(ctx))) }()
	d, err := build(change)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	s := signing{keys: r.cfg.Keys, now: r.cfg.Client.cfg.Now(), expiries: r.cfg.Expiries, makers: r.cfg.Makers, given: d.given}
	if r.cfg.Announce != nil {
		if err := r.cfg.Announce(ctx, s.plan(d)); err != nil {
			return err
		}
	}
	u, err := s.update(ctx, d)
	if err != nil {
		return fmt.Errorf("sign for %q: %w", r.cfg.GUN, err)
	}
	base := change.Base()
	if d.trusted != nil {
		base = d.trusted.collection
		u.From = base
	}
	if err := r.readable(ctx, base, u, d); err != nil {
		return fmt.Errorf("what would be published for %q could not be read again: %w", r.cfg.GUN, err)
	}
	return lost(change.Commit(ctx, u))
}

func lost(err error) error {
	if fault.Is(err, fault.Conflict) {
		return fault.As(fault.Conflict, fmt.Errorf("%w: %w", errLost, err))
	}
	return err
}

// readable checks that a client takes what is about to be published: nobody is
// helped by a signature that every reader refuses.
func (r *Repository) readable(ctx context.Context, base Collection, u Update, d *draft) error {
	var mem memory
	if d.trusted != nil {
		mem = d.trusted.mem
	}
	t := &Trusted{gun: r.cfg.GUN, collection: merged{base, u.Put}, mem: newOverlay(mem)}
	pins := r.cfg.Pins
	if d.trusted == nil {
		pins = d.root.pins()
	}
	if err := r.cfg.Client.refresh(ctx, t, pins, d.trusted != nil); err != nil {
		return err
	}
	for _, name := range slices.Concat(slices.Collect(maps.Keys(d.signed)), slices.Collect(maps.Keys(d.adopted))) {
		s, err := d.speaks(ownerOf(name))
		if err == nil {
			_, err = t.role(ctx, name, s.keys, s.need)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// merged is a collection with some files replaced.
type merged struct {
	base Collection // nil for none
	put  map[string][]byte
}

// Read implements [Collection].
func (m merged) Read(ctx context.Context, name string, limit int64) ([]byte, error) {
	if b, ok := m.put[name]; ok {
		return b, nil
	}
	if m.base == nil {
		return nil, fault.Errorf(fault.NotFound, "no file %q", name)
	}
	return m.base.Read(ctx, name, limit)
}
