package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"plimsoll/internal/audit"
	"plimsoll/internal/finding"
	"plimsoll/internal/gate"
	"plimsoll/internal/inventory"
	"plimsoll/internal/match"
	"plimsoll/internal/pack"
	"plimsoll/internal/profile"
	"plimsoll/internal/seal"
)

// Gate is a gate over the policy file, the audit log, the registries and the
// caches that the settings name.
type Gate struct {
	*gate.Gate
	refused error // why there is no policy
	log     *audit.Log
	matcher *packs
}

// Gate opens the gate. progress, unless it is nil, is told how many more bytes
// of images were read, and warn what went wrong with a cache; both may be called
// concurrently. The caller closes the gate.
func (s Settings) Gate(ctx context.Context, progress func(n int), warn func(error)) (*Gate, error) {
	makers, err := s.TokenMakers()
	if err != nil {
		return nil, err
	}
	scanner, err := s.Scanner(false, warn)
	if err != nil {
		return nil, err
	}
	log, err := s.AuditLog(ctx)
	if err != nil {
		return nil, err
	}
	document, refused := ReadPolicy(s.Policy)
	m := &packs{open: s.Advisories}
	return &Gate{refused: refused, log: log, matcher: m, Gate: gate.New(gate.Config{
		Policy:      document,
		PolicyErr:   refused,
		Images:      s.Images(progress),
		Truster:     Truster{s.Trust(nil).Client}, // it verifies and opens no keys, so nobody is asked for a secret
		Accepter:    Accepter{s.Registry()},
		Scanner:     scanner,
		Matcher:     m,
		Recorder:    log,
		Attestation: makers,
		Enforceable: func(p profile.Profile) error { return Enforceable(&p) },
	})}, nil
}

// Enforceable says why run could not give a container the profile p.
func Enforceable(p *profile.Profile) error { return seal.Enforceable(p) }

// Decide is [gate.Gate.Decide]. Where there is no policy its error says why, for
// people; the denial was recorded.
func (g *Gate) Decide(ctx context.Context, q gate.Request) (gate.Answer, error) {
	a, err := g.Gate.Decide(ctx, q)
	if g.refused != nil {
		return a, g.refused
	}
	return a, err
}

// Close publishes what was recorded and closes. It does so even if ctx has
// ended.
func (g *Gate) Close(ctx context.Context) error {
	return errors.Join(g.log.Close(context.WithoutCancel(ctx)), g.matcher.Close())
}

// packs matches against the packs in a folder, which are opened at first use: a
// policy that asks for no advisories does not pay for them.
type packs struct {
	open  func() (*pack.Store, error)
	once  sync.Once
	store *pack.Store
	err   error
}

// Match says what is wrong with the components of an inventory.
func (p *packs) Match(ctx context.Context, inv *inventory.Inventory) ([]finding.Finding, time.Time, error) {
	p.once.Do(func() { p.store, p.err = p.open() })
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
