package softpiv

import "bytes"

// take compares a PIN that was sent, padded, and counts tries.
func (s *secret) take(sent []byte) uint16 {
	switch {
	case s.tries == 0:
		return swBlocked
	case unpadded(sent) != s.value:
		if s.tries--; s.tries == 0 {
			return swBlocked
		}
		return swWrong | uint16(s.tries)
	}
	s.tries = tries
	return swOK
}

// unpadded returns a PIN without the bytes ff behind it.
func unpadded(b []byte) string {
	pin, _, _ := bytes.Cut(b, []byte{0xff})
	return string(pin)
}

// verify answers VERIFY: with data a try, without it the question how many are
// left.
func (c *Card) verify(cmd command) ([]byte, uint16) {
	if cmd.p1 == 0xff {
		c.session.pin = false
		return nil, swOK
	}
	if cmd.p2 != 0x80 {
		return nil, swNoReference
	}
	if len(cmd.data) == 0 {
		switch {
		case c.session.pin:
			return nil, swOK
		case c.pin.tries == 0:
			return nil, swBlocked
		}
		return nil, swWrong | uint16(c.pin.tries)
	}
	if len(cmd.data) != 8 {
		return nil, swData
	}
	sw := c.pin.take(cmd.data)
	c.session.pin, c.session.fresh = sw == swOK, sw == swOK
	return nil, sw
}

// change answers CHANGE REFERENCE DATA for PIN and PUK.
func (c *Card) change(cmd command) ([]byte, uint16) {
	if len(cmd.data) != 16 {
		return nil, swData
	}
	s := &c.pin
	if cmd.p2 == 0x81 {
		s = &c.puk
	}
	sw := s.take(cmd.data[:8])
	if sw == swOK {
		s.value = unpadded(cmd.data[8:])
	}
	return nil, sw
}

// unblock answers RESET RETRY COUNTER: the PUK and a new PIN.
func (c *Card) unblock(cmd command) ([]byte, uint16) {
	if len(cmd.data) != 16 {
		return nil, swData
	}
	sw := c.puk.take(cmd.data[:8])
	if sw == swOK {
		c.pin = secret{unpadded(cmd.data[8:]), tries}
	}
	return nil, sw
}
