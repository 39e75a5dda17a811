package piv

import (
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

// signer signs with one key in a token.
type signer struct {
	slotKey
	token  *token
	info   key.Info
	closed bool
}

var (
	_ key.Signer    = (*signer)(nil)
	_ key.Described = (*signer)(nil)
	_ key.Attester  = (*signer)(nil)
)

// open returns the signer of the key in a slot; the use of t becomes the
// signer's.
func (p *Provider) open(ctx context.Context, t *token, s slot) (_ *signer, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, t.release(ctx))
		}
	}()
	var k *slotKey
	err = t.do(ctx, "open the key in slot "+s.String(), func() (err error) {
		k, err = t.key(ctx, s)
		return err
	})
	if fault.Is(err, fault.NotFound) {
		return nil, fault.Hint(err, "plimsoll key generate '%s'", t.uri(s))
	}
	if err != nil {
		return nil, err
	}
	return newSigner(t, k)
}

func newSigner(t *token, k *slotKey) (*signer, error) {
	info, err := t.describe(k)
	return &signer{slotKey: *k, token: t, info: info}, err
}

// describe returns what is known of a key.
func (t *token) describe(k *slotKey) (key.Info, error) {
	fingerprint, err := key.Fingerprint(k.public)
	return key.Info{
		URI: t.uri(k.slot).String(), Algorithm: k.algorithm, Fingerprint: fingerprint,
		Where: fmt.Sprintf("%s, slot %s", t, k.slot), Extractable: new(false), // PIV has no command to read one out
	}, err
}

func (s *signer) Public() crypto.PublicKey { return s.public }

// Info describes the key.
func (s *signer) Info() key.Info { return s.info }

// Sign signs in the token and checks what comes back.
func (s *signer) Sign(ctx context.Context, message []byte) ([]byte, error) {
	if s.closed {
		return nil, fault.Errorf(fault.Internal, "sign with %q: the key is closed", s.info.URI)
	}
	always := s.policies.PIN == key.PolicyAlways || s.policies.PIN == key.PolicyMatchAlways
	var pin []byte
	if s.policies.PIN != key.PolicyNever {
		var err error
		if pin, err = s.token.needPIN(ctx, always); err != nil {
			return nil, err
		}
		defer clear(pin)
	}
	var sig []byte
	err := s.token.do(ctx, "sign", func() (err error) {
		if pin != nil && (always || !s.token.verified) {
			if err := s.token.verify(ctx, pin); err != nil {
				return err
			}
		}
		sig, err = s.sign(ctx, message)
		s.token.keep = s.token.keep || err == nil && s.policies.Touch == key.PolicyCached
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := key.Verify(s.public, message, sig); err != nil {
		return nil, fault.Errorf(fault.Unavailable, "sign with %q: the token gave a signature that its public key does not verify", s.info.URI)
	}
	return sig, nil
}

// GENERAL AUTHENTICATE's template (SP 800-73-4, part 2, section 3.2.4).
const (
	tagAuthenticate = 0x7c
	tagWitness      = 0x80
	tagChallenge    = 0x81
	tagResponse     = 0x82
)

// sign has the token sign. Within do.
func (s *signer) sign(ctx context.Context, message []byte) ([]byte, error) {
	algorithm, input := byte(algorithmEd25519), message
	if s.algorithm == key.ECDSAP256 {
		sum := sha256.Sum256(message)
		algorithm, input = algorithmP256, sum[:]
	}
	template := appendField(appendField(nil, tagResponse), tagChallenge, input...)
	stop := s.touching()
	reply, err := s.token.link.send(ctx, command{
		ins: insAuthenticate, p1: algorithm, p2: byte(s.slot), data: appendField(nil, tagAuthenticate, template...), limit: touchLimit,
	})
	stop()
	switch {
	case isStatus(err, statusUnsatisfied):
		return nil, s.untouched(err)
	case isStatus(err, statusLength, statusData) && s.algorithm == key.Ed25519:
		err := fault.Errorf(fault.Unavailable, "the token does not take a message of %d bytes: Ed25519 signs it whole: %w", len(message), err)
		return nil, fault.Hint(err, "a key made with --algorithm ecdsa-p256 signs messages of any length")
	case err != nil:
		return nil, err
	}
	sig, err := find(reply, tagAuthenticate, tagResponse)
	if err != nil {
		return nil, fault.As(fault.Unavailable, fmt.Errorf("read the signature: %w", err))
	}
	return sig, nil
}

// Tokens wait 15 seconds for a touch and then refuse. One that has not answered
// after a second is waiting.
const (
	touchPatience = time.Second
	touchLimit    = 2 * time.Minute
)

// touching tells a person to touch the token if that seems to be what it waits
// for. The returned function ends that.
func (s *signer) touching() (stop func()) {
	if s.policies.Touch == key.PolicyNever {
		return func() {}
	}
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		timer := time.NewTimer(touchPatience)
		defer timer.Stop()
		select {
		case <-timer.C:
			s.token.provider.notify(fmt.Sprintf("touch %s: it blinks until it is touched, for 15 seconds", s.token))
		case <-done:
		}
	}()
	return func() { close(done); <-ended }
}

// untouched says why a token that knows the PIN did not sign.
func (s *signer) untouched(err error) error {
	if s.policies.Touch == key.PolicyNever {
		return fault.Errorf(fault.Unavailable, "the token refuses to sign though the PIN was right: %w", err)
	}
	err = fault.Errorf(fault.Unavailable, "the token was not touched in time: %w", err)
	return fault.Hint(err, "run the command again and touch the token's metal contact while it blinks")
}

// Close lets go of the token; the last key of a token to be closed forgets its
// PIN.
func (s *signer) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	return s.token.release(context.Background())
}
