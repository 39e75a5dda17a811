package trust

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// Limits bound what a refresh may cost. Fields that are zero are set to those of
// [DefaultLimits].
type Limits struct {
	Root, Timestamp, Snapshot, Targets int64 // bytes of one file
	Roots                              int   // new roots in one refresh
	Roles                              int   // targets roles visited in one lookup
	Depth                              int   // delegations below the top-level targets
	Time                               time.Duration
}

// maxFile is the largest metadata file that any limit can allow, in bytes.
const maxFile = 64 << 20

// DefaultLimits returns the limits of a client that was told nothing.
func DefaultLimits() Limits {
	return Limits{
		Root: 512 << 10, Timestamp: 16 << 10, Snapshot: 4 << 20, Targets: maxFile,
		Roots: 1024, Roles: 64, Depth: 8, Time: 2 * time.Minute,
	}
}

func (l Limits) filled() Limits {
	d := DefaultLimits()
	for _, f := range []struct{ v, d *int64 }{{&l.Root, &d.Root}, {&l.Timestamp, &d.Timestamp}, {&l.Snapshot, &d.Snapshot}, {&l.Targets, &d.Targets}} {
		if *f.v == 0 {
			*f.v = *f.d
		}
	}
	for _, f := range []struct{ v, d *int }{{&l.Roots, &d.Roots}, {&l.Roles, &d.Roles}, {&l.Depth, &d.Depth}} {
		if *f.v == 0 {
			*f.v = *f.d
		}
	}
	if l.Time == 0 {
		l.Time = d.Time
	}
	return l
}

// ClientConfig is what a [Client] needs.
type ClientConfig struct {
	Source Source
	State  string           // folder of what is remembered between refreshes
	Now    func() time.Time // the clock; asked once per refresh
	Limits Limits
}

// Client verifies trust collections by TUF's client workflow (TUF 1.0.34,
// section 5). It may be used concurrently, by several processes as well: the
// state of a GUN is locked during a refresh.
type Client struct{ cfg ClientConfig }

// NewClient returns a client.
func NewClient(cfg ClientConfig) *Client {
	cfg.Limits = cfg.Limits.filled()
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Client{cfg}
}

// Refresh brings the collection of gun up to date, starting from pins, and
// returns it. NotFound if there never was trust data; Untrusted if it is
// expired, rolled back, wrongly signed, another repository's, or gone. The
// caller closes what is returned; the state of gun is locked until then.
func (c *Client) Refresh(ctx context.Context, gun ref.GUN, pins Pins) (*Trusted, error) {
	return c.load(ctx, gun, pins, false)
}

// Inspect is Refresh for looking only: expired metadata is shown instead of
// refused. What it returns must not decide anything.
func (c *Client) Inspect(ctx context.Context, gun ref.GUN, pins Pins) (*Trusted, error) {
	return c.load(ctx, gun, pins, true)
}

func (c *Client) load(ctx context.Context, gun ref.GUN, pins Pins, expired bool) (*Trusted, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Limits.Time)
	defer cancel()
	collection, err := c.cfg.Source.Load(ctx, gun)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	return c.open(ctx, gun, pins, collection, expired)
}

// open refreshes from collection, which is nil if the source has none.
func (c *Client) open(ctx context.Context, gun ref.GUN, pins Pins, collection Collection, expired bool) (*Trusted, error) {
	if err := pins.Check(); err != nil {
		return nil, fault.Hint(fmt.Errorf("root keys of %q: %w", gun, err), "plimsoll trust pin %s shows what to pin", gun)
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Limits.Time)
	defer cancel()
	mem, err := openState(ctx, c.cfg.State, gun)
	if err != nil {
		return nil, err
	}
	t := &Trusted{gun: gun, collection: collection, mem: mem, close: mem.close}
	if err := c.refresh(ctx, t, pins, expired); err != nil {
		return nil, errors.Join(err, mem.close())
	}
	return t, nil
}

// refresh runs the workflow on t, whose gun, collection and mem are set.
func (c *Client) refresh(ctx context.Context, t *Trusted, pins Pins, expired bool) error {
	t.now, t.limits, t.expired = c.cfg.Now(), c.cfg.Limits, expired
	if t.collection == nil {
		return t.gone()
	}
	return t.update(ctx, func(ctx context.Context) error { return t.startRoot(ctx, pins) })
}

// update runs the workflow (5.2 to 5.6) from the root that start sets.
func (t *Trusted) update(ctx context.Context, start func(context.Context) error) error {
	t.roles = map[string]*metadata[*targets]{}
	steps := []func(context.Context) error{start, t.updateRoot, t.updateTimestamp, t.updateSnapshot, t.updateTargets}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return fmt.Errorf("trust data of %s: %w", t.title(), err)
		}
	}
	return nil
}

// title names the collection in messages.
func (t *Trusted) title() string {
	if t.plain {
		return "the repository"
	}
	return strconv.Quote(string(t.gun))
}

// gone is the answer when the source has no collection: somebody who saw one
// before is not told that there is none.
func (t *Trusted) gone() error {
	if _, err := t.mem.read(RoleRoot); err == nil {
		return fault.Errorf(fault.Untrusted, "trust data of %q was there before and is gone", t.gun)
	}
	err := fault.Errorf(fault.NotFound, "no trust data for %q", t.gun)
	return fault.Hint(err, "its publisher starts with: plimsoll trust init %s --root-key URI --key URI", t.gun)
}

// Statement returns what the collection of gun says about the image that r
// names: asked by its digest if it has one, otherwise by its tag. NotFound if
// there is no trust data or no role names the image; Untrusted as for Refresh.
func (c *Client) Statement(ctx context.Context, gun ref.GUN, pins Pins, r ref.Reference) (*Statement, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Limits.Time)
	defer cancel()
	t, err := c.Refresh(ctx, gun, pins)
	if err != nil {
		return nil, err
	}
	s, err := t.Statement(ctx, r)
	return s, errors.Join(err, t.Close())
}
