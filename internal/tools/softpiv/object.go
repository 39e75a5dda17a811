package softpiv

import "bytes"

// Tags of data objects.
const (
	tagAttestation = "\x5f\xff\x01"
	tagPrinted     = "\x5f\xc1\x09"
)

// certificateObject is a certificate as GET DATA returns it.
func certificateObject(der []byte) []byte {
	b := append(tlv("\x70", der...), tlv("\x71", 0)...)
	return tlv("\x53", append(b, tlv("\xfe")...)...)
}

func (c *Card) getData(cmd command) ([]byte, uint16) {
	tag := string(fields(cmd.data)[0x5c])
	if tag == tagPrinted && !c.session.pin {
		return nil, swUnsatisfied
	}
	if o, ok := c.objects[tag]; ok {
		return o, swOK
	}
	return nil, swNotFound
}

func (c *Card) putData(cmd command) ([]byte, uint16) {
	if !c.session.managed {
		return nil, swUnsatisfied
	}
	f := fields(cmd.data)
	if len(f[0x5c]) == 0 {
		return nil, swData
	}
	c.objects[string(f[0x5c])] = tlv("\x53", bytes.Clone(f[0x53])...)
	return nil, swOK
}

// metadata answers Yubico's GET METADATA.
func (c *Card) metadata(cmd command) ([]byte, uint16) {
	if !c.since(3) {
		return nil, swNoInstruction
	}
	factory := func(is bool) []byte {
		if is {
			return tlv("\x05", 1)
		}
		return tlv("\x05", 0)
	}
	switch cmd.p2 {
	case 0x9b:
		return bytes.Join([][]byte{
			tlv("\x01", c.manage.algorithm), tlv("\x02", 0, 1), factory(c.manage.factory()),
		}, nil), swOK
	case 0x80:
		return bytes.Join([][]byte{
			tlv("\x01", 0xff), factory(c.pin.value == PIN), tlv("\x06", tries, byte(c.pin.tries)),
		}, nil), swOK
	case 0x81:
		return bytes.Join([][]byte{
			tlv("\x01", 0xff), factory(c.puk.value == PUK), tlv("\x06", tries, byte(c.puk.tries)),
		}, nil), swOK
	}
	k := c.keys[cmd.p2]
	if k == nil {
		return nil, swNoReference
	}
	origin := byte(2)
	if k.generated {
		origin = 1
	}
	return bytes.Join([][]byte{
		tlv("\x01", k.algorithm), tlv("\x02", k.pin, k.touch), tlv("\x03", origin), tlv("\x04", k.point()...),
	}, nil), swOK
}
