//go:build cgo

package pkcs11

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/miekg/pkcs11"

	"plimsoll/internal/fault"
)

const maxPIN = 255 // bytes

// login logs the user in, if the token asks for that and nobody has yet. A PIN
// is tried once; where a wrong one would lock the token, only one that a person
// types is.
func (s *session) login(ctx context.Context, u uri) error {
	if !s.token.has(pkcs11.CKF_LOGIN_REQUIRED) {
		return nil
	}
	s.token.module.login.Lock()
	defer s.token.module.login.Unlock()
	if in, err := s.loggedIn(ctx); in || err != nil {
		return err
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	pin, err := s.pin(ctx, u, "PIN of "+s.token.String())
	if err != nil {
		return err
	}
	return s.try(ctx, pkcs11.CKU_USER, pin)
}

func (s *session) loggedIn(ctx context.Context) (bool, error) {
	var info pkcs11.SessionInfo
	err := s.call(ctx, func() (err error) {
		info, err = s.ctx().GetSessionInfo(s.handle)
		return err
	})
	if err != nil {
		return false, explain(err, "log in", s.token)
	}
	return info.State == pkcs11.CKS_RO_USER_FUNCTIONS || info.State == pkcs11.CKS_RW_USER_FUNCTIONS, nil
}

// ready reads the token's flags anew and refuses one that no PIN opens.
func (s *session) ready(ctx context.Context) error {
	if err := s.refresh(ctx); err != nil {
		return explain(err, "log in", s.token)
	}
	return s.openable()
}

func (s *session) openable() error {
	switch {
	case !s.token.has(pkcs11.CKF_USER_PIN_INITIALIZED):
		err := fault.Errorf(fault.Unavailable, "%s has no user PIN yet", s.token)
		return fault.Hint(err, "its security officer sets one: pkcs11-tool --module %s --slot %d --init-pin --login --login-type so", s.token.module.path, s.token.slot)
	case s.token.has(pkcs11.CKF_USER_PIN_LOCKED):
		return s.locked()
	}
	return nil
}

func (s *session) refresh(ctx context.Context) error {
	var info pkcs11.TokenInfo
	err := s.call(ctx, func() (err error) {
		info, err = s.ctx().GetTokenInfo(s.token.slot)
		return err
	})
	if err == nil {
		s.token.info = info
	}
	return err
}

func (s *session) locked() error {
	err := fault.Errorf(fault.Unavailable, "the PIN of %s is locked after too many wrong ones", s.token)
	return fault.Hint(err, "its security officer unlocks it (a YubiKey: ykman piv access unblock-pin; others: pkcs11-tool --init-pin --login --login-type so)")
}

// try hands pin to the token, once.
func (s *session) try(ctx context.Context, user uint, pin string) error {
	err := s.call(ctx, func() error { return s.ctx().Login(s.handle, user, pin) })
	switch code(err) {
	case pkcs11.CKR_OK:
		if err != nil {
			return fmt.Errorf("log in to %s: %w", s.token, err)
		}
		return nil
	case pkcs11.CKR_USER_ALREADY_LOGGED_IN:
		return nil
	case pkcs11.CKR_PIN_INCORRECT, pkcs11.CKR_PIN_LEN_RANGE, pkcs11.CKR_PIN_INVALID:
		return s.wrong(ctx, err)
	case pkcs11.CKR_PIN_LOCKED:
		return s.locked()
	case pkcs11.CKR_PIN_EXPIRED:
		return fault.Hint(fault.Errorf(fault.Unavailable, "the PIN of %s has expired", s.token), "pkcs11-tool --module %s --login --change-pin", s.token.module.path)
	case pkcs11.CKR_USER_PIN_NOT_INITIALIZED:
		return fault.Errorf(fault.Unavailable, "%s has no user PIN yet", s.token)
	}
	return explain(err, "log in", s.token)
}

// wrong says how many tries are left, as far as PKCS#11 can tell.
func (s *session) wrong(ctx context.Context, cause error) error {
	left := "the token does not tell how many tries are left"
	if err := s.refresh(ctx); err == nil {
		switch {
		case s.token.has(pkcs11.CKF_USER_PIN_LOCKED):
			left = "it is locked now"
		case s.token.has(pkcs11.CKF_USER_PIN_FINAL_TRY):
			left = "one try is left, then it is locked"
		case s.token.has(pkcs11.CKF_USER_PIN_COUNT_LOW):
			left = "fewer tries are left than at first; the token does not tell the exact number"
		}
	}
	err := fault.Errorf(fault.Unavailable, "wrong PIN for %s: %s: %w", s.token, left, cause)
	return fault.Hint(err, "it was tried once and is not tried again by itself: see PLIMSOLL_PKCS11_PIN, or pin-source in the URI")
}

// pin returns the PIN from the URI's pin-source, the configuration or a person.
// It is "" where the token has a PIN pad of its own.
func (s *session) pin(ctx context.Context, u uri, prompt string) (string, error) {
	if s.token.has(pkcs11.CKF_PROTECTED_AUTHENTICATION_PATH) {
		return "", nil
	}
	stored, err := s.provider.storedPIN(u)
	if err != nil {
		return "", err
	}
	final := s.token.has(pkcs11.CKF_USER_PIN_FINAL_TRY)
	if stored != "" && final {
		err := fault.Errorf(fault.Unavailable, "one try is left before %s locks its PIN: it is not spent on a PIN that nobody typed", s.token)
		return "", fault.Hint(err, "unset PLIMSOLL_PKCS11_PIN, leave out pin-source and type the PIN; a right one gives all tries back")
	}
	if stored == "" {
		if final {
			prompt += " (one try is left before it is locked)"
		}
		if stored, err = s.provider.askPIN(ctx, prompt); err != nil {
			return "", err
		}
	}
	return stored, s.checkLength(stored)
}

// checkLength refuses a PIN that cannot be right, which saves a try.
func (s *session) checkLength(pin string) error {
	low, high := s.token.info.MinPinLen, s.token.info.MaxPinLen
	if n := uint(len(pin)); (low <= maxPIN && n < low) || (high >= low && high > 0 && n > high) || n > maxPIN {
		return fault.Errorf(fault.Unavailable, "a PIN of %s has %d to %d characters, the one given has %d: it was not tried", s.token, low, high, n)
	}
	return nil
}

func (p *Provider) storedPIN(u uri) (string, error) {
	path, err := u.pinFile()
	if err != nil {
		return "", err
	}
	if path == "" {
		return p.config.PIN, nil
	}
	return readPIN(path)
}

func (p *Provider) askPIN(ctx context.Context, prompt string) (string, error) {
	const hint = "set PLIMSOLL_PKCS11_PIN, put pin-source=file:/path into the URI, or run this on a terminal"
	if p.config.Prompter == nil {
		return "", fault.Hint(fault.Errorf(fault.Unavailable, "%s: nobody to ask", prompt), hint)
	}
	secret, err := p.config.Prompter.Secret(ctx, prompt)
	if err != nil {
		return "", fault.Hint(err, hint)
	}
	defer clear(secret)
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("%s: %w", prompt, err)
	}
	if len(secret) == 0 {
		return "", fault.Errorf(fault.Unavailable, "the PIN is empty: it was not tried")
	}
	return string(secret), nil
}

// readPIN returns the first line of the file path, which nobody but its owner
// may read.
func readPIN(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // #nosec G304 -- the user names it
	if err != nil {
		return "", fault.As(fault.Unavailable, fmt.Errorf("read pin-source: %w", err))
	}
	text, err := io.ReadAll(io.LimitReader(f, maxPIN+3))
	info, statErr := f.Stat()
	if err := errors.Join(err, statErr, f.Close()); err != nil {
		return "", fault.As(fault.Unavailable, fmt.Errorf("read pin-source %q: %w", path, err))
	}
	defer clear(text)
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		err := fault.Errorf(fault.Unavailable, "pin-source %q has mode %v: it must be a file that only its owner can read", path, info.Mode())
		return "", fault.Hint(err, "chmod 600 %s", path)
	}
	line := bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	if len(line) == 0 || len(line) > maxPIN || bytes.IndexByte(line, '\n') >= 0 {
		return "", fault.Errorf(fault.Unavailable, "pin-source %q does not hold one line with a PIN", path)
	}
	return string(line), nil
}
