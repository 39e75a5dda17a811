package piv

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"plimsoll/internal/fault"
)

// A PIN's length in bytes (SP 800-73-4, part 1, section 4.3), and its place in
// commands.
const (
	minPIN       = 6
	maxPIN       = 8
	referencePIN = 0x80
)

const unknownTries = -1

// needPIN returns the PIN to open t with: the one that was right before, the
// configured one, or one that a person types. always says that this one is not
// to be taken from memory. It is not verified yet. Call it outside of do.
func (t *token) needPIN(ctx context.Context, always bool) ([]byte, error) {
	if typed := t.provider.config.PIN == ""; !always || !typed {
		if pin := t.remembered(); pin != nil {
			return pin, nil
		}
	}
	left := unknownTries
	err := t.do(ctx, "count the tries of the PIN", func() (err error) {
		left, err = t.link.tries(ctx)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case left == 0:
		return nil, t.blocked()
	case t.provider.config.PIN != "":
		return t.configuredPIN(left)
	}
	return t.askPIN(ctx, left)
}

// tries returns how many tries of the PIN are left. It spends none.
func (l *link) tries(ctx context.Context) (int, error) {
	_, err := l.send(ctx, command{ins: insVerify, p2: referencePIN})
	var sw status
	if !errors.As(err, &sw) {
		return unknownTries, err // it is verified already, and the token does not say more
	}
	if left, ok := sw.tries(); ok {
		return left, nil
	}
	return unknownTries, err
}

func (t *token) configuredPIN(left int) ([]byte, error) {
	const hint = "unset PLIMSOLL_PIV_PIN and type the PIN; a right one gives all tries back"
	p := t.provider
	p.mu.Lock()
	refused := p.refused[t.String()]
	p.mu.Unlock()
	switch {
	case refused:
		return nil, fault.Errorf(fault.Unavailable, "the configured PIN of %s was refused and is not tried again", t)
	case left == 1:
		err := fault.Errorf(fault.Unavailable, "one try is left before %s blocks its PIN: it is not spent on a PIN that nobody typed", t)
		return nil, fault.Hint(err, hint)
	}
	return []byte(p.config.PIN), checkPIN([]byte(p.config.PIN))
}

func (t *token) askPIN(ctx context.Context, left int) ([]byte, error) {
	const hint = "set PLIMSOLL_PIV_PIN, or run this on a terminal"
	prompt := fmt.Sprintf("PIN of %s", t)
	switch {
	case left == 1:
		prompt += " (one try is left, then it is blocked)"
	case left > 1:
		prompt += fmt.Sprintf(" (%d tries left)", left)
	}
	if t.provider.config.Prompter == nil {
		return nil, fault.Hint(fault.Errorf(fault.Unavailable, "%s: nobody to ask", prompt), hint)
	}
	pin, err := t.provider.config.Prompter.Secret(ctx, prompt)
	if err != nil {
		return nil, fault.Hint(err, hint)
	}
	if err := ctx.Err(); err != nil {
		clear(pin)
		return nil, fmt.Errorf("%s: %w", prompt, err)
	}
	return pin, checkPIN(pin)
}

// checkPIN refuses a PIN that cannot be right, which saves a try.
func checkPIN(pin []byte) error {
	if len(pin) < minPIN || len(pin) > maxPIN || bytes.IndexByte(pin, 0xff) >= 0 {
		return fault.Errorf(fault.Unavailable, "a PIN has %d to %d characters, the one given has %d: it was not tried", minPIN, maxPIN, len(pin))
	}
	return nil
}

// verify gives pin to the token, once. Call it within do.
func (t *token) verify(ctx context.Context, pin []byte) error {
	padded := bytes.Repeat([]byte{0xff}, maxPIN)
	copy(padded, pin)
	defer clear(padded)
	_, err := t.link.send(ctx, command{ins: insVerify, p2: referencePIN, data: padded})
	var sw status
	if errors.As(err, &sw) {
		if left, ok := sw.tries(); ok {
			return t.wrongPIN(left)
		}
		t.refused() // the try may have been counted
		return fault.Errorf(fault.Unavailable, "verify the PIN: %w", err)
	}
	if err != nil {
		return err
	}
	t.verified = true
	t.remember(pin)
	return nil
}

// remembered returns a PIN that was right, or nil.
func (t *token) remembered() []byte {
	t.provider.mu.Lock()
	defer t.provider.mu.Unlock()
	return bytes.Clone(t.pin)
}

func (t *token) remember(pin []byte) {
	t.provider.mu.Lock()
	defer t.provider.mu.Unlock()
	t.forget()
	t.pin = bytes.Clone(pin)
}

// forget forgets the PIN; the caller holds the provider's lock.
func (t *token) forget() {
	clear(t.pin)
	t.pin = nil
}

// refused notes that a PIN is not to be tried again. It counts for the configured
// one alone.
func (t *token) refused() {
	t.provider.mu.Lock()
	defer t.provider.mu.Unlock()
	t.provider.refused[t.String()] = true
	t.forget()
}

func (t *token) wrongPIN(left int) error {
	t.refused()
	if left == 0 {
		return t.blocked()
	}
	said := fmt.Sprintf("%d tries are left", left)
	if left == 1 {
		said = "one try is left, then it is blocked"
	}
	err := fault.Errorf(fault.Unavailable, "wrong PIN: %s", said)
	return fault.Hint(err, "it was tried once and is not tried again by itself: see PLIMSOLL_PIV_PIN")
}

func (t *token) blocked() error {
	err := fault.Errorf(fault.Unavailable, "the PIN of %s is blocked after too many wrong ones", t)
	return fault.Hint(err, "the PUK unblocks it: ykman piv access unblock-pin, or yubico-piv-tool -a unblock-pin; the keys in it are not lost")
}
