package sigstore

import (
	"context"
	"fmt"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

// envelope is a DSSE envelope (secure-systems-lab/dsse, envelope.md). The
// key ID is a hint that nobody checks, so it is neither written nor used.
type envelope struct {
	Payload     []byte          `json:"payload"` // base64 in JSON
	PayloadType string          `json:"payloadType"`
	Signatures  []dsseSignature `json:"signatures"`
}

type dsseSignature struct {
	Sig   []byte `json:"sig"`
	KeyID string `json:"keyid,omitempty"`
}

// preAuth returns what a signature of an envelope is over: DSSE's
// pre-authentication encoding, in which no two pairs of type and payload are
// the same bytes (dsse, protocol.md).
func preAuth(payloadType string, payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
}

// seal signs a statement.
func seal(ctx context.Context, signer key.Signer, s *Statement) (*envelope, error) {
	payload, err := s.Payload()
	if err != nil {
		return nil, err
	}
	message := preAuth(PayloadType, payload)
	sig, err := signer.Sign(ctx, message)
	if err != nil {
		return nil, err
	}
	if err := key.Verify(signer.Public(), message, sig); err != nil {
		return nil, fault.As(fault.Unavailable, fmt.Errorf("what the key signed does not verify: %w", err))
	}
	return &envelope{Payload: payload, PayloadType: PayloadType, Signatures: []dsseSignature{{Sig: sig}}}, nil
}

// check refuses an envelope in which two readers could see two things.
func (e *envelope) check() error {
	switch {
	case e.PayloadType != PayloadType:
		return fault.Errorf(fault.Untrusted, "the envelope holds a %q, not an in-toto statement", cut(e.PayloadType))
	case len(e.Signatures) != 1:
		return fault.Errorf(fault.Untrusted, "the envelope has %d signatures; one is taken", len(e.Signatures))
	case len(e.Payload) == 0 || len(e.Signatures[0].Sig) == 0:
		return fault.Errorf(fault.Untrusted, "the envelope is empty")
	}
	return nil
}
