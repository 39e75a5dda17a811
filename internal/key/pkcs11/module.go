//go:build cgo

package pkcs11

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/miekg/pkcs11"

	"plimsoll/internal/fault"
)

// patience is how long a token may think before a person is told to touch it.
const patience = 3 * time.Second

// module is one loaded and initialised PKCS#11 library, shared by all who use it.
type module struct {
	path    string
	ctx     *pkcs11.Ctx
	info    pkcs11.Info
	users   int  // guarded by Provider.mu
	foreign bool // somebody else in this process initialised it and ends it

	login    sync.Mutex   // held while sessions are opened, logged in and closed
	sessions map[uint]int // by slot, guarded by login

	lost sync.Once
	gone chan struct{} // closed once a call was abandoned: the module is not entered again
}

// acquire returns the module at path, loaded and initialised, for release.
func (p *Provider) acquire(path string) (*module, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m, ok := p.modules[path]; ok {
		m.users++
		return m, nil
	}
	m, err := load(path)
	if err != nil {
		return nil, err
	}
	if p.modules == nil {
		p.modules = make(map[string]*module)
	}
	p.modules[path] = m
	m.users++
	return m, nil
}

// release ends one use of m; the last one finalises it. The library itself stays
// mapped: modules that leave threads or exit handlers behind crash if they are
// unloaded.
func (p *Provider) release(m *module) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.users--; m.users > 0 || m.abandoned() {
		return nil
	}
	delete(p.modules, m.path)
	if m.foreign {
		return nil
	}
	if err := m.ctx.Finalize(); err != nil && code(err) != pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED {
		return fault.As(fault.Unavailable, fmt.Errorf("finalise PKCS#11 module %q: %w", m.path, err))
	}
	return nil
}

func load(path string) (*module, error) {
	ctx := pkcs11.New(path)
	if ctx == nil {
		err := fault.Errorf(fault.Unavailable, "PKCS#11 module %q cannot be loaded", path)
		return nil, fault.Hint(err, "ldd %s shows what it lacks; it must be built for this machine", path)
	}
	m := &module{path: path, ctx: ctx, sessions: make(map[uint]int), gone: make(chan struct{})}
	if err := ctx.Initialize(); code(err) == pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED {
		m.foreign = true
	} else if err != nil {
		err := fault.Errorf(fault.Unavailable, "PKCS#11 module %q cannot be initialised: %w", path, err)
		return nil, fault.Hint(err, "see that its configuration and its daemon are there: SOFTHSM2_CONF for SoftHSM, pcscd for cards and USB keys")
	}
	var err error
	if m.info, err = ctx.GetInfo(); err != nil {
		return nil, errors.Join(fault.Errorf(fault.Unavailable, "PKCS#11 module %q: %w", path, err), ctx.Finalize())
	}
	return m, nil
}

// call runs fn, which enters the module, and waits for it. A C call cannot be
// stopped: if ctx ends first, the module is abandoned to it and never entered
// again. After some seconds waiting is called, once.
func (m *module) call(ctx context.Context, waiting func(), fn func() error) error {
	if m.abandoned() {
		return fault.Errorf(fault.Unavailable, "PKCS#11 module %q is still busy with a call that was cancelled", m.path)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- fn() }()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-timer.C:
			waiting()
		case <-ctx.Done():
			m.lost.Do(func() { close(m.gone) })
			return ctx.Err()
		}
	}
}

func (m *module) abandoned() bool {
	select {
	case <-m.gone:
		return true
	default:
		return false
	}
}
