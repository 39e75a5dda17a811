package softpiv

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// presence asks pcscd whether it sees a card in slot i of the reader.
func presence(socket string, i int) (bool, error) {
	const (
		version = 0x11
		states  = 0x12
		readers = 16
		size    = 184 // of a reader's state: name, …, state at 132
		present = 4
	)
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return false, err
	}
	var ask []byte
	for _, n := range []uint32{12, version, 4, 4, 0, 0, states} {
		ask = binary.NativeEndian.AppendUint32(ask, n)
	}
	if _, err := conn.Write(ask); err != nil {
		return false, err
	}
	answer := make([]byte, 12+readers*size)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return false, fmt.Errorf("ask pcscd for its readers: %w", err)
	}
	for state := answer[12:]; len(state) > 0; state = state[size:] {
		name, _, _ := strings.Cut(string(state[:128]), "\x00")
		if strings.HasSuffix(name, fmt.Sprintf(" %02d", i)) {
			return binary.NativeEndian.Uint32(state[132:])&present != 0, nil
		}
	}
	return false, fmt.Errorf("pcscd has no slot %d", i)
}
