package trust

import (
	"context"
	"errors"
	"time"

	"plimsoll/internal/fault"
)

// PlainConfig is what a [Plain] needs.
type PlainConfig struct {
	Collection Collection // of the repository; nothing is believed that it gives
	Dir        string     // folder of the trusted metadata: "root.json", "timestamp.json", …
	Limits     Limits
}

// Plain is a client of any TUF repository. It starts from a root that somebody
// put into its folder, where a [Client] starts from pins, and demands no GUN; all
// else is the same code. No decision about an image rests on it.
type Plain struct{ cfg PlainConfig }

// NewPlain returns the client.
func NewPlain(cfg PlainConfig) *Plain {
	cfg.Limits = cfg.Limits.filled()
	return &Plain{cfg}
}

// Init makes root, the content of a root metadata file, the one that trust starts
// from. Untrusted if it is not signed as it says itself; whether it is the right
// one, the caller must know.
func (p *Plain) Init(ctx context.Context, root []byte) error {
	mem, err := p.open(ctx)
	if err != nil {
		return err
	}
	m, err := parse(root, decodeRoot)
	if err == nil {
		err = (&Trusted{plain: true}).checkRoot(m)
	}
	if err != nil {
		err = wrap(RoleRoot, err)
	} else {
		err = mem.write(RoleRoot, root)
	}
	return errors.Join(err, mem.close())
}

// Refresh brings the folder up to date as of now, by TUF's client workflow, and
// returns what is trusted. NotFound if there is no root to start from; Untrusted
// if the repository shows what is expired, rolled back, wrongly signed or missing.
// The caller closes what is returned; the folder is locked until then.
func (p *Plain) Refresh(ctx context.Context, now time.Time) (*Trusted, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Limits.Time)
	defer cancel()
	mem, err := p.open(ctx)
	if err != nil {
		return nil, err
	}
	t := &Trusted{plain: true, collection: p.cfg.Collection, mem: mem, close: mem.close, now: now, limits: p.cfg.Limits}
	if err := t.update(ctx, t.startPlain); err != nil {
		return nil, errors.Join(err, mem.close())
	}
	return t, nil
}

func (p *Plain) open(ctx context.Context) (*state, error) {
	dir, err := openDir(p.cfg.Dir)
	if err != nil {
		return nil, err
	}
	return lockState(ctx, dir, p.cfg.Dir, func(role string) string { return fileName(role, 0) })
}

// startPlain sets the root that the folder holds (5.2).
func (t *Trusted) startPlain(context.Context) error {
	known, err := recall(t, RoleRoot, decodeRoot, t.checkRoot)
	if err == nil && known == nil {
		err = fault.Errorf(fault.NotFound, "there is no root to start from")
	}
	t.root = known
	return err
}
