package app

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"time"

	"plimsoll/internal/audit"
	"plimsoll/internal/finding"
	"plimsoll/internal/gate"
	"plimsoll/internal/inventory"
	"plimsoll/internal/match"
	"plimsoll/internal/pack"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
	"plimsoll/internal/trust/ocistore"
)

// Gate is a gate over the policy file, the audit log, the registries and the
// caches that the settings name.
type Gate struct {
	*gate.Gate
	log     *audit.Log
	matcher *packs
}

// Gate opens the gate. progress, unless it is nil, is told how many more bytes
// of images were read, and warn what went wrong with a cache; both may be called
// concurrently. The caller closes the gate.
func (s Settings) Gate(ctx context.Context, progress func(n int), warn func(error)) (*Gate, error) {
	document, err := ReadPolicy(s.Policy)
	if err != nil {
		return nil, err
	}
	log, err := s.AuditLog(ctx)
	if err != nil {
		return nil, err
	}
	m := &packs{dir: filepath.Join(s.Data, "advisories")}
	return &Gate{log: log, matcher: m, Gate: gate.New(gate.Config{
		Policy:   document,
		Images:   s.Images(progress),
		Truster:  s.truster(),
		Scanner:  s.Scanner(false, warn),
		Matcher:  m,
		Recorder: log,
	})}, nil
}

// Close publishes what was recorded and closes. It does so even if ctx has
// ended.
func (g *Gate) Close(ctx context.Context) error {
	return errors.Join(g.log.Close(context.WithoutCancel(ctx)), g.matcher.Close())
}

// truster returns the trust client in the form that the gate asks for.
func (s Settings) truster() gate.Truster {
	return truster{trust.NewClient(trust.ClientConfig{
		Source: ocistore.New(ocistore.Config{Registry: s.Registry()}),
		State:  filepath.Join(s.Data, "trust"),
	})}
}

type truster struct{ client *trust.Client }

// Statement says what the trust collection of gun says about r.
func (t truster) Statement(ctx context.Context, gun ref.GUN, pins gate.Pins, r ref.Reference) (*gate.Statement, error) {
	s, err := t.client.Statement(ctx, gun, trust.Pins(pins), r)
	if err != nil {
		return nil, err
	}
	return (*gate.Statement)(s), nil
}

// packs matches against the packs in a folder, which are opened at first use: a
// policy that asks for no advisories does not pay for them.
type packs struct {
	dir   string
	once  sync.Once
	store *pack.Store
	err   error
}

// Match says what is wrong with the components of an inventory.
func (p *packs) Match(ctx context.Context, inv *inventory.Inventory) ([]finding.Finding, time.Time, error) {
	p.once.Do(func() { p.store, p.err = pack.Open(p.dir) })
	if p.err != nil {
		return nil, time.Time{}, p.err
	}
	return match.New(p.store).Match(ctx, inv)
}

// Close closes the packs if they were opened.
func (p *packs) Close() error {
	if p.store == nil {
		return nil
	}
	return p.store.Close()
}
