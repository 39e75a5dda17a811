package softpiv

import "encoding/binary"

// Status words (SP 800-73-4, part 2, section 5.6).
const (
	swOK            = 0x9000
	swMore          = 0x6100
	swWrong         = 0x63c0 // and how many tries are left
	swLength        = 0x6700
	swUnsatisfied   = 0x6982
	swBlocked       = 0x6983
	swData          = 0x6a80
	swNotFound      = 0x6a82
	swNoReference   = 0x6a88
	swNoInstruction = 0x6d00
)

const (
	maxAnswer  = 256  // bytes that one answer carries
	maxCommand = 3072 // bytes that a chain of commands may have
)

// command is one APDU (ISO 7816-4), or several that were chained.
type command struct {
	class, ins, p1, p2 byte
	data               []byte
}

// parse reads an APDU of either length.
func parse(b []byte) (command, bool) {
	if len(b) < 4 {
		return command{}, false
	}
	c := command{class: b[0], ins: b[1], p1: b[2], p2: b[3]}
	switch rest := b[4:]; {
	case len(rest) <= 1:
	case rest[0] == 0 && len(rest) >= 3:
		n := int(rest[1])<<8 | int(rest[2])
		if len(rest) > 3 {
			if len(rest) < 3+n {
				return c, false
			}
			c.data = rest[3 : 3+n]
		}
	case len(rest) >= 1+int(rest[0]):
		c.data = rest[1 : 1+int(rest[0])]
	default:
		return c, false
	}
	return c, true
}

// Transmit answers one APDU.
func (c *Card) Transmit(apdu []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	out, sw := c.transmit(apdu)
	if len(out) > maxAnswer {
		c.session.rest = out[maxAnswer:]
		out, sw = out[:maxAnswer], swMore|uint16(min(len(c.session.rest), 255))
	}
	return binary.BigEndian.AppendUint16(append([]byte(nil), out...), sw)
}

func (c *Card) transmit(apdu []byte) ([]byte, uint16) {
	const more = 0x10 // in the class: the command goes on
	cmd, ok := parse(apdu)
	if !ok {
		return nil, swLength
	}
	if len(c.session.chain)+len(cmd.data) > maxCommand {
		c.session.chain = nil
		return nil, swLength
	}
	if cmd.class&more != 0 {
		c.session.chain = append(c.session.chain, cmd.data...)
		return nil, swOK
	}
	cmd.data = append(c.session.chain, cmd.data...)
	c.session.chain = nil
	if cmd.ins == 0xc0 { // GET RESPONSE
		rest := c.session.rest
		c.session.rest = nil
		return rest, swOK
	}
	c.session.rest = nil
	return c.execute(cmd)
}

func (c *Card) execute(cmd command) ([]byte, uint16) {
	if cmd.ins == 0xa4 {
		return c.choose(cmd)
	}
	if !c.session.selected {
		return nil, swNoInstruction
	}
	switch cmd.ins {
	case 0x20:
		return c.verify(cmd)
	case 0x24:
		return c.change(cmd)
	case 0x2c:
		return c.unblock(cmd)
	case 0x47:
		return c.generate(cmd)
	case 0x87:
		return c.authenticate(cmd)
	case 0xcb:
		return c.getData(cmd)
	case 0xdb:
		return c.putData(cmd)
	case 0xf7:
		return c.metadata(cmd)
	case 0xf8:
		return c.serial()
	case 0xf9:
		return c.attestation(cmd)
	case 0xfd:
		return c.config.Firmware[:], swOK
	case 0xfe:
		return c.importKey(cmd)
	}
	return nil, swNoInstruction
}

// choose answers SELECT. Another application takes its place and forgets what
// this one's session had.
func (c *Card) choose(cmd command) ([]byte, uint16) {
	const aid = "\xa0\x00\x00\x03\x08"
	c.session = session{touched: c.session.touched}
	if len(cmd.data) < len(aid) || string(cmd.data[:len(aid)]) != aid {
		return nil, swNotFound
	}
	c.session.selected = true
	name := tlv("\x4f", 0, 0, 0x10, 0, 1, 0)
	return tlv("\x61", append(name, tlv("\x79", tlv("\x4f", []byte(aid)...)...)...)...), swOK
}

func (c *Card) serial() ([]byte, uint16) {
	if !c.since(0) {
		return nil, swNoInstruction
	}
	return binary.BigEndian.AppendUint32(nil, c.config.Serial), swOK
}
