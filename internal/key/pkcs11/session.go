//go:build cgo

package pkcs11

import (
	"context"
	"errors"
	"fmt"

	"github.com/miekg/pkcs11"
)

// session is an open session with a token; it holds the module. It may be used
// by one goroutine at a time.
type session struct {
	provider *Provider
	token    token
	handle   pkcs11.SessionHandle
}

// open begins a session with the one token that u means; writing says whether
// objects are to be made in it.
func (p *Provider) open(ctx context.Context, u uri, writing bool) (_ *session, err error) {
	found, err := p.survey(ctx, u)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, found.release()) }()
	t, err := found.one(u)
	if err != nil {
		return nil, err
	}
	return p.session(ctx, t, writing)
}

// session begins a session with t.
func (p *Provider) session(ctx context.Context, t token, writing bool) (*session, error) {
	flags := uint(pkcs11.CKF_SERIAL_SESSION)
	if writing {
		flags |= pkcs11.CKF_RW_SESSION
	}
	m, err := p.acquire(t.module.path)
	if err != nil {
		return nil, err
	}
	s := &session{provider: p, token: t}
	err = s.call(ctx, func() (err error) {
		m.login.Lock()
		defer m.login.Unlock()
		if s.handle, err = m.ctx.OpenSession(t.slot, flags); err == nil {
			m.sessions[t.slot]++
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(explain(err, "open a session", t), p.release(m))
	}
	return s, nil
}

// call enters the module, telling a person if that takes long.
func (s *session) call(ctx context.Context, fn func() error) error {
	return s.token.module.call(ctx, func() {
		s.provider.notify(fmt.Sprintf("waiting for %s: touch it if it blinks", s.token))
	}, fn)
}

// ctx returns the module's functions.
func (s *session) ctx() *pkcs11.Ctx { return s.token.module.ctx }

// close ends the session; the last one on a token logs out.
func (s *session) close() error {
	m := s.token.module
	if m.abandoned() {
		return nil
	}
	m.login.Lock()
	var logout error
	if m.sessions[s.token.slot]--; m.sessions[s.token.slot] == 0 && !m.foreign {
		logout = m.ctx.Logout(s.handle)
	}
	ended := m.ctx.CloseSession(s.handle)
	m.login.Unlock()
	return errors.Join(closing(s.token, logout, ended), s.provider.release(m))
}
