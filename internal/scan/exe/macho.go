package exe

import (
	"bytes"
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
	i.loadCommands(s.bytes(Range{base + size, int64(order.Uint32(head[20:]))}, maxNotes), order, base)
}

// loadCommands reads the commands of the file that begins at base.
func (i *Info) loadCommands(b []byte, order binary.ByteOrder, base int64) {
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
		case kind == 0x01:
			i.machoSections(command, order, base, 56, 68)
		case kind == 0x19:
			i.machoSections(command, order, base, 72, 80)
		}
	}
}

// machoSections reads the sections of a segment, which follow its header.
func (i *Info) machoSections(b []byte, order binary.ByteOrder, base int64, header, entry int) {
	if len(b) < header {
		return
	}
	for b = b[header:]; len(b) >= entry && len(i.sections) < maxSections; b = b[entry:] {
		size, offset := clamp(uint64(order.Uint32(b[36:]))), int64(order.Uint32(b[40:]))
		if entry == 80 {
			size, offset = clamp(order.Uint64(b[40:])), int64(order.Uint32(b[48:]))
		}
		i.sections = append(i.sections, named{string(bytes.TrimRight(b[:16], "\x00")), Range{base + offset, size}})
	}
}
