package piv

import (
	"context"
	"fmt"

	"plimsoll/internal/fault"
)

// attestationCertificate is the tag of the token's own certificate.
var attestationCertificate = []byte{0x5f, 0xff, 0x01}

// Attest returns the key's attestation certificate and the token's own. It needs
// no PIN.
func (s *signer) Attest(ctx context.Context) (chain [][]byte, err error) {
	err = s.token.do(ctx, "attest the key in slot "+s.slot.String(), func() (err error) {
		chain, err = s.token.attest(ctx, s.slot)
		return err
	})
	return chain, err
}

// attest is Attest within do.
func (t *token) attest(ctx context.Context, s slot) ([][]byte, error) {
	leaf, err := t.link.send(ctx, command{ins: insAttest, p1: byte(s)})
	switch {
	case isStatus(err, statusNoInstruction):
		return nil, fault.Errorf(fault.Untrusted, "the token does not attest keys: %w", err)
	case isStatus(err, statusData, statusNoReference, statusNotFound):
		err := fault.Errorf(fault.Untrusted, "the token does not attest this key, because it was not made in it: %w", err)
		return nil, fault.Hint(err, "make a new key in the token: plimsoll key generate")
	case err != nil:
		return nil, err
	}
	own, err := t.link.certificate(ctx, attestationCertificate)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.As(fault.Untrusted, fmt.Errorf("read the token's own certificate: %w", err))
	}
	if err != nil {
		return nil, err
	}
	return [][]byte{leaf, own}, nil
}
