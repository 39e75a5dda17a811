package protocol

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"plimsoll/internal/fault"
)

const prefix = 4 // bytes of a message's length

// Write sends one message, in one call of w.Write. A message longer than
// [MaxMessage] is Invalid and not sent.
func Write(w io.Writer, message any) error {
	b, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("write message: %w", err)
	}
	if len(b) > MaxMessage {
		return fault.Errorf(fault.Invalid, "write message: %d bytes are more than %d", len(b), MaxMessage)
	}
	framed := binary.BigEndian.AppendUint32(make([]byte, 0, prefix+len(b)), uint32(len(b))) //nolint:gosec // at most MaxMessage
	if _, err := w.Write(append(framed, b...)); err != nil {
		return fault.As(fault.Unavailable, fmt.Errorf("write message: %w", err))
	}
	return nil
}

// Read receives one message into the value that message points to. One that is
// empty, too long, or not exactly one JSON value of known fields, is Invalid; one
// that was cut off is Unavailable.
func Read(r io.Reader, message any) error {
	var head [prefix]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return fault.As(fault.Unavailable, fmt.Errorf("read message: %w", err))
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > MaxMessage {
		return fault.Errorf(fault.Invalid, "read message: %d bytes are not 1 to %d", n, MaxMessage)
	}
	// Grown as it arrives: whoever announces much must also send it.
	var b bytes.Buffer
	switch got, err := io.CopyN(&b, r, int64(n)); {
	case errors.Is(err, io.EOF):
		return fault.Errorf(fault.Unavailable, "read message: it ended after %d of %d bytes", got, n)
	case err != nil:
		return fault.As(fault.Unavailable, fmt.Errorf("read message: %w", err))
	}
	d := json.NewDecoder(&b)
	d.DisallowUnknownFields()
	if err := d.Decode(message); err != nil {
		return fault.As(fault.Invalid, fmt.Errorf("read message: %w", err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fault.Errorf(fault.Invalid, "read message: more than one value")
	}
	return nil
}
