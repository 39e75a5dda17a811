package softpiv

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// atr is a YubiKey's answer to reset, by which libraries know it.
const atr = "3bfd1300008131fe158073c021c057597562694b657940"

// askATR is the message of vpcd that wants an answer; the others of one byte
// switch power off and on, or reset the card.
const askATR = 4

// slot is a card in vpcd's reader: a connection to it.
type slot struct {
	conn   net.Conn
	done   sync.WaitGroup
	events uint32 // of pcscd, before the card was pulled
}

// insert connects a card to the port at which vpcd waits for one.
func insert(ctx context.Context, c *Card, port int) (*slot, error) {
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, fmt.Errorf("insert a card: %w", err)
	}
	c.reset()
	s := &slot{conn: conn}
	s.done.Go(func() { _ = c.serve(conn) }) // ends when the card is pulled or pcscd goes
	return s, nil
}

// pull cuts the connection, whatever the card is doing.
func (s *slot) pull() { _ = s.conn.Close() }

// serve answers vpcd's messages: two bytes of length, and an APDU or one byte.
func (c *Card) serve(conn net.Conn) error {
	defer conn.Close()
	answer, err := hex.DecodeString(atr)
	if err != nil {
		return err
	}
	for {
		message, err := receive(conn)
		if err != nil {
			return err
		}
		out := answer
		if len(message) != 1 {
			out = c.Transmit(message)
		} else if message[0] != askATR {
			c.reset()
			continue
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)); err != nil {
			return err
		}
	}
}

func receive(conn net.Conn) ([]byte, error) {
	if err := quickACK(conn); err != nil {
		return nil, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	if err := quickACK(conn); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(conn, message)
	return message, err
}
