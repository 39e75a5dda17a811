package app

import (
	"context"
	"os"
	"sync"
	"syscall"
	"time"

	"plimsoll/internal/agent"
	"plimsoll/internal/finding"
	"plimsoll/internal/gate"
	"plimsoll/internal/inventory"
	"plimsoll/internal/match"
	"plimsoll/internal/pack"
)

// stamp tells two states of a file apart; it is zero if there is no file.
type stamp struct {
	inode               uint64
	size                int64
	modified, changed   time.Time
	missing, unreadable bool
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{missing: true, unreadable: !os.IsNotExist(err)}
	}
	s := stamp{size: info.Size(), modified: info.ModTime()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode, s.changed = sys.Ino, changed(sys)
	}
	return s
}

// laws follows a policy file: each answer is given by what the file says then. A
// file that cannot be read is no policy, and everybody is denied, as the gate does
// anyway: an old policy that only lives in a process would come to nothing, or to
// life again, with its next start.
type laws struct {
	path   string
	config gate.Config

	mu    sync.Mutex
	stamp stamp
	read  bool
	law   agent.Law
	err   error
}

// now returns the policy that holds now.
func (l *laws) now() agent.Law {
	s := stampOf(l.path)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.read && s == l.stamp {
		return l.law
	}
	c := l.config
	c.Policy, c.PolicyErr = ReadPolicy(l.path)
	l.law, l.err, l.stamp, l.read = agent.Law{Policy: c.Policy, Gate: gate.New(c)}, c.PolicyErr, s, true
	if after := stampOf(l.path); after != s { // it changed while it was read
		l.read = false
	}
	return l.law
}

// problem returns why there is no policy, nil if there is one.
func (l *laws) problem() error {
	_ = l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// livePacks matches against the packs that are current, in a process that lives
// longer than these.
type livePacks struct {
	open func() (*pack.Store, error)
	file string // of the index: it is replaced when there are other packs

	mu    sync.RWMutex
	stamp stamp
	store *pack.Store
}

// Match says what is wrong with the components of an inventory.
func (p *livePacks) Match(ctx context.Context, inv *inventory.Inventory) ([]finding.Finding, time.Time, error) {
	for {
		p.mu.RLock()
		if p.store != nil && p.stamp == stampOf(p.file) {
			defer p.mu.RUnlock()
			return match.New(p.store).Match(ctx, inv)
		}
		p.mu.RUnlock()
		if err := ctx.Err(); err != nil {
			return nil, time.Time{}, err
		}
		if err := p.renew(); err != nil {
			return nil, time.Time{}, err
		}
	}
}

func (p *livePacks) renew() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := stampOf(p.file)
	if p.store != nil && s == p.stamp {
		return nil
	}
	store, err := p.open()
	if err != nil {
		return err
	}
	old := p.store
	p.store, p.stamp = store, s
	if old != nil {
		return old.Close()
	}
	return nil
}

// Close closes the packs.
func (p *livePacks) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.store == nil {
		return nil
	}
	store := p.store
	p.store = nil
	return store.Close()
}
