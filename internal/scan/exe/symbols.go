package exe

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
)

// Bounds of looking for symbols.
const (
	maxSymbols = 1 << 21
	maxPlaces  = 1 << 12 // of a name among the names
	chunkSize  = 64 << 10
)

// Symbol is a dynamic symbol that an ELF file defines.
type Symbol struct {
	Name  string
	Value uint64 // an address
	Size  uint64 // bytes
}

// Exports reports whether the file defines a dynamic symbol of that name for
// others to use.
func (i *Info) Exports(name string) bool {
	_, ok := i.Symbol(name)
	return ok
}

// Imports reports whether the file uses a dynamic symbol of that name that another
// defines.
func (i *Info) Imports(name string) bool {
	_, known, defined := i.symbol(name)
	return known && !defined
}

// Symbol returns the dynamic symbol of that name that the file defines; ok is
// false if there is none.
func (i *Info) Symbol(name string) (s Symbol, ok bool) {
	s, _, ok = i.symbol(name)
	return s, ok
}

// symbol looks for a dynamic symbol, best one that is defined.
func (i *Info) symbol(name string) (s Symbol, known, defined bool) {
	f := i.elf
	if f == nil || f.symtab.Size == 0 {
		return s, false, false
	}
	places := f.places(f.strtab, name)
	if len(places) == 0 {
		return s, false, false
	}
	size := int64(24)
	if !f.wide {
		size = 16
	}
	left := min(f.symtab.Size, f.size-f.symtab.Offset, maxSymbols*size) / size * size
	for at := f.symtab.Offset; left > 0; at += chunkSize / size * size {
		b := f.bytes(Range{at, min(left, chunkSize/size*size)}, chunkSize)
		left -= int64(len(b))
		for ; int64(len(b)) >= size; b = b[size:] {
			if !places[f.order.Uint32(b)] {
				continue
			}
			known = true
			if s, ok := f.symbol(b[:size]); ok {
				s.Name = name
				return s, true, true
			}
		}
	}
	return s, known, false
}

// places returns where the zero-terminated name stands among the names, which may
// be at the end of a longer one.
func (f *elfFile) places(texts Range, name string) map[uint32]bool {
	want := append([]byte(name), 0)
	places := map[uint32]bool{}
	overlap := int64(len(want) - 1)
	for at := int64(0); at < texts.Size; at += chunkSize - overlap {
		b := f.bytes(Range{texts.Offset + at, min(chunkSize, texts.Size-at)}, chunkSize)
		for from := 0; len(places) < maxPlaces; {
			n := bytes.Index(b[from:], want)
			if n < 0 {
				break
			}
			places[uint32(at+int64(from+n))] = true //nolint:gosec // names are counted in 32 bits
			from += n + 1
		}
		if int64(len(b)) < chunkSize {
			break
		}
	}
	return places
}

// symbol decodes a symbol; ok is false if it is only used here and defined
// elsewhere.
func (f *elfFile) symbol(b []byte) (s Symbol, ok bool) {
	section := f.order.Uint16(b[14:])
	if f.wide {
		section = f.order.Uint16(b[6:])
		s.Value, s.Size = f.order.Uint64(b[8:]), f.order.Uint64(b[16:])
	} else {
		s.Value, s.Size = uint64(f.order.Uint32(b[4:])), uint64(f.order.Uint32(b[8:]))
	}
	return s, section != uint16(elf.SHN_UNDEF)
}

// Content returns the bytes that are loaded at an address; nil if the file does
// not hold them or there are more than limit.
func (i *Info) Content(address uint64, size, limit int64) []byte {
	if i.elf == nil {
		return nil
	}
	r, ok := i.elf.offset(address)
	if !ok || size > r.Size {
		return nil
	}
	return i.elf.bytes(Range{r.Offset, size}, limit)
}

// Order returns the order of bytes in numbers of an ELF file.
func (i *Info) Order() binary.ByteOrder {
	if i.elf == nil {
		return binary.LittleEndian
	}
	return i.elf.order
}
