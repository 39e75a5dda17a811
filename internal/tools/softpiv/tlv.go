package softpiv

// tlv returns a data object: tag, length, value.
func tlv(tag string, value ...byte) []byte {
	b := []byte(tag)
	switch n := len(value); {
	case n < 0x80:
		b = append(b, byte(n))
	case n < 0x100:
		b = append(b, 0x81, byte(n))
	default:
		b = append(b, 0x82, byte(n>>8), byte(n))
	}
	return append(b, value...)
}

// fields reads data objects with tags of one byte. What is malformed is left
// out, as cards do.
func fields(b []byte) map[byte][]byte {
	all := map[byte][]byte{}
	for len(b) >= 2 {
		tag, n, head := b[0], int(b[1]), 2
		switch {
		case n == 0x81 && len(b) > 2:
			n, head = int(b[2]), 3
		case n == 0x82 && len(b) > 3:
			n, head = int(b[2])<<8|int(b[3]), 4
		case n > 0x7f:
			return all
		}
		if len(b) < head+n {
			return all
		}
		all[tag] = b[head : head+n]
		b = b[head+n:]
	}
	return all
}
