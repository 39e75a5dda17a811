package softpiv

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// state is what pcscd says of a slot.
type state struct {
	present bool
	events  uint32 // how often a card came or went
}

// ask asks pcscd about slot i of the reader.
func ask(ctx context.Context, socket string, i int) (state, error) {
	const (
		version = 0x11
		states  = 0x12
		readers = 16
		name    = 128
		size    = 184 // of a reader's state: name, counter, flags, …
		there   = 4   // the flag
	)
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return state{}, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return state{}, err
	}
	var question []byte
	for _, n := range []uint32{12, version, 4, 4, 0, 0, states} {
		question = binary.NativeEndian.AppendUint32(question, n)
	}
	if _, err := conn.Write(question); err != nil {
		return state{}, err
	}
	answer := make([]byte, 12+readers*size)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return state{}, fmt.Errorf("ask pcscd for its readers: %w", err)
	}
	for s := answer[12:]; len(s) > 0; s = s[size:] {
		if text, _, _ := strings.Cut(string(s[:name]), "\x00"); strings.HasSuffix(text, fmt.Sprintf(" %02d", i)) {
			return state{binary.NativeEndian.Uint32(s[name+4:])&there != 0, binary.NativeEndian.Uint32(s[name:])}, nil
		}
	}
	return state{}, fmt.Errorf("pcscd has no slot %d", i)
}
