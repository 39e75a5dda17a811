package piv

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"plimsoll/internal/fault"
)

// version is a token's firmware.
type version [3]byte

func (v version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

// since reports whether v is major.minor or later.
func (v version) since(major, minor byte) bool {
	return v[0] > major || v[0] == major && v[1] >= minor
}

// identity is what tells tokens apart.
type identity struct {
	reader  string
	serial  uint32 // 0 if the token does not tell it, as those with firmware 4
	version version
}

// String names the token for messages.
func (i identity) String() string {
	if i.serial == 0 {
		return fmt.Sprintf("PIV token in %q", i.reader)
	}
	return fmt.Sprintf("PIV token %d", i.serial)
}

// uri names slot s of the token.
func (i identity) uri(s slot) uri {
	if i.serial == 0 {
		return uri{reader: i.reader, slot: s}
	}
	return uri{serial: i.serial, named: true, slot: s}
}

// token is a token in use, which all its keys that are open share. Its fields
// behind busy are those of whoever holds it.
type token struct {
	identity
	provider *Provider
	users    int    // guarded by Provider.mu, as is
	pin      []byte // that was right

	busy     chan struct{} // holds an element while something is done with the token
	daemon   *daemon
	link     *link // of the transaction that is on, or nil
	verified bool  // the PIN, in this transaction
	managed  bool  // the management key, in this transaction
	keep     bool  // the transaction goes on behind what is done, until it lapses
	idle     *time.Timer
}

// acquire returns the token i for release.
func (p *Provider) acquire(i identity) *token {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, ok := p.tokens[i]
	if !ok {
		t = &token{identity: i, provider: p, busy: make(chan struct{}, 1)}
		p.tokens[i] = t
	}
	t.users++
	return t
}

// release ends one use of t; the last one forgets its PIN and lets go of it.
func (t *token) release(ctx context.Context) error {
	t.provider.mu.Lock()
	t.users--
	last := t.users == 0
	if last {
		delete(t.provider.tokens, t.identity)
		t.forget()
	}
	t.provider.mu.Unlock()
	if !last {
		return nil
	}
	t.busy <- struct{}{}
	defer func() { <-t.busy }()
	return t.leave(ctx)
}

// do runs fn in a transaction with the token. Only fn may use t.link.
func (t *token) do(ctx context.Context, doing string, fn func() error) (err error) {
	select {
	case t.busy <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("%s with %s: %w", doing, t, ctx.Err())
	}
	defer func() { <-t.busy }()
	t.stopIdle()
	defer func() {
		if err != nil || !t.keep {
			err = errors.Join(err, t.leave(ctx))
		} else {
			t.idle = time.AfterFunc(t.provider.touchServes, t.lapse)
		}
		err = t.explain(err, doing)
	}()
	if err := t.enter(ctx); err != nil {
		return err
	}
	return fn()
}

// lapse ends a transaction that was kept for the sake of a touch that does not
// serve any more, so that a key which stays open does not keep its token from
// others.
func (t *token) lapse() {
	t.busy <- struct{}{}
	defer func() { <-t.busy }()
	_ = t.leave(context.Background()) // whoever uses the token next hears of what is wrong with it
}

func (t *token) stopIdle() {
	if t.idle != nil {
		t.idle.Stop()
	}
}

// enter begins a transaction unless one is on.
func (t *token) enter(ctx context.Context) (err error) {
	if t.link != nil {
		return nil
	}
	if t.daemon, err = dial(ctx, t.provider.config.Socket); err != nil {
		return err
	}
	if t.link, err = t.daemon.open(ctx, t.reader, t.waiting); err != nil {
		return err
	}
	now, err := t.link.identify(ctx, t.reader)
	if err != nil {
		return err
	}
	if now != t.identity {
		return fault.Errorf(fault.Unavailable, "another token is in its place now: %s", now)
	}
	return nil
}

func (t *token) waiting() {
	t.provider.notify(fmt.Sprintf("waiting for another program that uses %s", t))
}

// leave ends the transaction. A token to which a PIN or a management key was
// given is reset.
func (t *token) leave(ctx context.Context) error {
	t.stopIdle()
	var all []error
	if t.link != nil {
		disposition := uint32(leave)
		if t.verified || t.managed {
			disposition = reset
		}
		all = append(all, t.link.end(ctx, disposition))
	}
	if t.daemon != nil {
		all = append(all, t.daemon.close())
	}
	t.daemon, t.link, t.verified, t.managed, t.keep = nil, nil, false, false, false
	return errors.Join(all...)
}

// explain says what an error means for whoever uses the token.
func (t *token) explain(err error, doing string) error {
	if err == nil {
		return nil
	}
	var code *codeError
	var sw status
	switch {
	case errors.As(err, &code) && code.code.gone():
		err = fault.Errorf(fault.Unavailable, "%s with %s: %w", doing, t, err)
		return fault.Hint(err, "put it back and run the command again")
	case errors.As(err, &sw) && fault.KindOf(err) == fault.Internal:
		return fault.Errorf(fault.Unavailable, "%s with %s: %w", doing, t, err)
	}
	return fmt.Errorf("%s with %s: %w", doing, t, err)
}

// open connects to the token in a reader, begins a transaction and selects its
// PIV application. A token that another program let go of at this moment, and
// that is being reset, is tried again.
func (d *daemon) open(ctx context.Context, name string, waiting func()) (*link, error) {
	const pause, limit = 100 * time.Millisecond, 50
	for tried := 1; ; tried++ {
		l, err := d.tryOpen(ctx, name, waiting)
		var code *codeError
		if !errors.As(err, &code) || !code.code.unsettled() || tried == limit {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

func (d *daemon) tryOpen(ctx context.Context, name string, waiting func()) (*link, error) {
	l, err := d.connect(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := l.begin(ctx, waiting); err != nil {
		return nil, errors.Join(err, l.disconnect(ctx))
	}
	application := []byte{0xa0, 0x00, 0x00, 0x03, 0x08} // SP 800-73-4, part 1, section 2.2
	_, err = l.send(ctx, command{ins: insSelect, p1: 0x04, data: application})
	var sw status
	if errors.As(err, &sw) {
		err = fault.Errorf(fault.NotFound, "it has no PIV application, or that is switched off: %w", err)
	}
	if err != nil {
		return nil, errors.Join(err, l.end(ctx, leave))
	}
	return l, nil
}

// identify asks the token who it is. One without Yubico's commands is NotFound.
func (l *link) identify(ctx context.Context, reader string) (identity, error) {
	i := identity{reader: reader}
	v, err := l.send(ctx, command{ins: insVersion})
	var sw status
	if errors.As(err, &sw) || err == nil && len(v) != len(i.version) {
		err := fault.Errorf(fault.NotFound, "it has a PIV application without the commands by which keys are made and attested")
		return i, fault.Hint(err, "use it through its PKCS#11 module (package opensc-pkcs11): plimsoll key list pkcs11:")
	}
	if err != nil {
		return i, err
	}
	i.version = version(v)
	if !i.version.since(5, 0) {
		return i, nil
	}
	serial, err := l.send(ctx, command{ins: insSerial})
	if err != nil {
		return i, err
	}
	if len(serial) != 4 {
		return i, fault.Errorf(fault.Unavailable, "a serial number of %d bytes", len(serial))
	}
	i.serial = binary.BigEndian.Uint32(serial)
	return i, nil
}
