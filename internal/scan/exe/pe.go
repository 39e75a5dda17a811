package exe

import (
	"bytes"
	"encoding/binary"
)

// peFile is the structure of a PE file (Microsoft's "PE Format").
type peFile struct {
	*source
	sections []peSection
	imports  uint32 // address of the import table
}

type peSection struct {
	name    string
	address uint32
	file    Range
}

const (
	peOptional = 24 // bytes before the optional header
	peMaxTable = 4096
)

func (i *Info) readPE(s *source, head []byte) {
	f := openPE(s, head)
	if f == nil {
		return
	}
	for _, x := range f.sections {
		i.sections = append(i.sections, named{x.name, x.file})
	}
	for at := f.imports; at != 0 && len(i.Needed) < maxNeeded; at += 20 {
		entry := f.bytes(f.at(at, 20), 20)
		if entry == nil {
			return
		}
		name := binary.LittleEndian.Uint32(entry[12:])
		if name == 0 {
			return
		}
		if text := f.text(f.at(name, maxName), 0); text != "" {
			i.Needed = append(i.Needed, text)
		}
	}
}

func openPE(s *source, head []byte) *peFile {
	header := int64(binary.LittleEndian.Uint32(head[60:]))
	b := s.bytes(Range{header, peOptional}, peOptional)
	if b == nil || string(b[:4]) != "PE\x00\x00" {
		return nil
	}
	sections, optional := int64(binary.LittleEndian.Uint16(b[6:])), int64(binary.LittleEndian.Uint16(b[20:]))
	f := &peFile{source: s}
	if o := s.bytes(Range{header + peOptional, optional}, peMaxTable); len(o) >= 2 {
		directories := 96 // PE32
		if binary.LittleEndian.Uint16(o) == 0x20b {
			directories = 112 // PE32+
		}
		if len(o) >= directories+16 {
			f.imports = binary.LittleEndian.Uint32(o[directories+8:])
		}
	}
	table := s.bytes(Range{header + peOptional + optional, sections * 40}, peMaxTable)
	for ; len(table) >= 40; table = table[40:] {
		f.sections = append(f.sections, peSection{
			name: string(bytes.TrimRight(table[:8], "\x00")), address: binary.LittleEndian.Uint32(table[12:]),
			file: Range{int64(binary.LittleEndian.Uint32(table[20:])), int64(binary.LittleEndian.Uint32(table[16:]))},
		})
	}
	return f
}

// at returns where in the file lies what is loaded at address, at most size bytes.
func (f *peFile) at(address uint32, size int64) Range {
	for _, s := range f.sections {
		if into := int64(address) - int64(s.address); into >= 0 && into < s.file.Size {
			offset := s.file.Offset + into
			return Range{offset, max(0, min(size, s.file.Size-into, f.size-offset))}
		}
	}
	return Range{-1, 0}
}
