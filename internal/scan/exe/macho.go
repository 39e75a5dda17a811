package exe

import (
	"debug/macho"
	"encoding/binary"
)

// readMachO reads the load commands; of a file of several architectures, those of
// the first.
func (i *Info) readMachO(s *source, head []byte) {
	base := int64(0)
	if m := binary.BigEndian.Uint32(head); m == macho.MagicFat || m == macho.MagicFat+1 {
		first := s.bytes(Range{8, 24}, 24)
		if first == nil {
			return
		}
		base = int64(binary.BigEndian.Uint32(first[8:]))
		if m != macho.MagicFat {
			base = clamp(binary.BigEndian.Uint64(first[8:]))
		}
		if head = s.bytes(Range{base, 32}, 32); head == nil {
			return
		}
	}
	var order binary.ByteOrder = binary.LittleEndian
	size := int64(28)
	switch binary.BigEndian.Uint32(head) {
	case macho.Magic32:
		order = binary.BigEndian
	case macho.Magic64:
		order, size = binary.BigEndian, 32
	case 0xcffaedfe:
		size = 32
	case 0xcefaedfe:
	default:
		return
	}
	if len(head) < 28 {
		return
	}
	i.loadCommands(s.bytes(Range{base + size, int64(order.Uint32(head[20:]))}, maxNotes), order)
}

func (i *Info) loadCommands(b []byte, order binary.ByteOrder) {
	for n := 0; len(b) >= 24 && n < maxHeaders; n++ {
		kind, size := order.Uint32(b), int64(order.Uint32(b[4:]))
		if size < 8 || size > int64(len(b)) {
			return
		}
		command := b[:size]
		b = b[size:]
		switch {
		case size < 24:
		case kind == 0x0c || kind == 0x80000018 || kind == 0x8000001f: // load: plain, weak, re-exported
			i.Needed = append(i.Needed, textAt(command, order.Uint32(command[8:])))
		case kind == 0x0d: // own name
			i.Soname = textAt(command, order.Uint32(command[8:]))
		case kind == 0x1b: // UUID
			i.BuildID = command[8:24]
		}
	}
}
