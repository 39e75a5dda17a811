package piv

import (
	"plimsoll/internal/fault"
)

const maxFields = 64 // in one data object

// field is a data object: BER-TLV with a tag of one or two bytes and a definite
// length below 64 KiB.
type field struct {
	tag   uint16
	value []byte
}

// appendField appends a data object.
func appendField(b []byte, tag uint16, value ...byte) []byte {
	if tag > 0xff {
		b = append(b, byte(tag>>8))
	}
	b = append(b, byte(tag)) // #nosec G115 -- its low half
	switch n := len(value); {
	case n < 0x80:
		b = append(b, byte(n))
	case n < 0x100:
		b = append(b, 0x81, byte(n))
	default:
		b = append(b, 0x82, byte(n>>8), byte(n)) // #nosec G115 -- at most maxCommand
	}
	return append(b, value...)
}

// parseFields reads data objects to the end of b. A length that is not the
// shortest is taken, since tokens write such; one that does not fit is Invalid.
func parseFields(b []byte) ([]field, error) {
	var all []field
	for len(b) > 0 {
		f, rest, ok := cutField(b)
		if !ok || len(all) == maxFields {
			return nil, fault.Errorf(fault.Invalid, "a data object that is malformed: %x", cut(b))
		}
		all, b = append(all, f), rest
	}
	return all, nil
}

func cutField(b []byte) (f field, rest []byte, ok bool) {
	f.tag, b = uint16(b[0]), b[1:]
	if f.tag&0x1f == 0x1f { // it goes on
		if len(b) == 0 || b[0]&0x80 != 0 {
			return field{}, nil, false
		}
		f.tag, b = f.tag<<8|uint16(b[0]), b[1:]
	}
	n, b, ok := cutLength(b)
	if !ok || n > len(b) {
		return field{}, nil, false
	}
	f.value = b[:n]
	return f, b[n:], true
}

func cutLength(b []byte) (n int, rest []byte, ok bool) {
	switch {
	case len(b) >= 1 && b[0] < 0x80:
		return int(b[0]), b[1:], true
	case len(b) >= 2 && b[0] == 0x81:
		return int(b[1]), b[2:], true
	case len(b) >= 3 && b[0] == 0x82:
		return int(b[1])<<8 | int(b[2]), b[3:], true
	}
	return 0, nil, false
}

// find returns the value of the data object at the end of a path of tags, each
// within the one before.
func find(b []byte, path ...uint16) ([]byte, error) {
	for _, tag := range path {
		all, err := parseFields(b)
		if err != nil {
			return nil, err
		}
		found := false
		for _, f := range all {
			if f.tag == tag {
				b, found = f.value, true
				break
			}
		}
		if !found {
			return nil, fault.Errorf(fault.NotFound, "no data object %x", tag)
		}
	}
	return b, nil
}

// cut shortens bytes from a token for a message.
func cut(b []byte) []byte { return b[:min(len(b), 16)] }
