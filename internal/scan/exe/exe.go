// Package exe reads what executable files say about themselves: ELF, PE, Mach-O
// and WebAssembly, by content.
//
// The files were made by somebody else, and their headers may lie. Every table is
// bounded in count and size before it is read, an offset outside the file is as
// good as none, and what cannot be read is left out: a loader does not follow it
// either. Nothing is kept but what was asked for.
package exe

import (
	"bytes"
	"encoding/binary"
	"io"
)

// Format is a format of executable files.
type Format uint8

// The formats. None is any other file.
const (
	None Format = iota
	ELF
	PE
	MachO
	Wasm
)

// Sniff tells the format from the first 64 bytes of a file.
func Sniff(head []byte) Format {
	if len(head) < 8 {
		return None
	}
	switch binary.BigEndian.Uint32(head) {
	case 0x7f454c46:
		return ELF
	case 0xfeedface, 0xfeedfacf, 0xcefaedfe, 0xcffaedfe:
		return MachO
	case 0xcafebabe, 0xcafebabf: // of several architectures; or a Java class, whose version is 45 or more
		if binary.BigEndian.Uint32(head[4:]) < 45 {
			return MachO
		}
	case 0x0061736d: // and a version
		return Wasm
	}
	if head[0] == 'M' && head[1] == 'Z' && len(head) >= 64 {
		return PE
	}
	return None
}

// Range is a part of a file, in bytes.
type Range struct{ Offset, Size int64 }

// Info is what a file says about itself.
type Info struct {
	Format  Format
	Needed  []string // libraries that it loads when it starts, as it names them
	Soname  string   // the name that others load it by
	BuildID []byte   // that the linker gave it: the GNU one of ELF, the UUID of Mach-O

	sections []named
	elf      *elfFile
}

// named is a section by its name.
type named struct {
	name string
	file Range
}

// Section returns where the section of that name lies in the file; ok is false if
// there is none, as in a file whose section table was removed. The range was not
// compared with the file's size.
func (i *Info) Section(name string) (r Range, ok bool) {
	for _, s := range i.sections {
		if s.name == name {
			return s.file, true
		}
	}
	return Range{}, false
}

// Bounds of what is read of one file.
const (
	maxHeaders  = 4096 // program headers, load commands
	maxSections = 1 << 16
	maxNeeded   = 4096
	maxName     = 4096    // bytes of a name
	maxSection  = 128     // bytes of a section's name
	maxNotes    = 1 << 20 // bytes of the sections of notes
)

// Read reads what the file of that size says about itself.
func Read(r io.ReaderAt, size int64) *Info {
	head := make([]byte, 64)
	n, _ := r.ReadAt(head, 0)
	info := &Info{Format: Sniff(head[:n])}
	switch info.Format {
	case ELF:
		info.readELF(&source{r, size}, head[:n])
	case MachO:
		info.readMachO(&source{r, size}, head[:n])
	case PE:
		info.readPE(&source{r, size}, head[:n])
	case Wasm:
		info.readWasm(&source{r, size})
	case None:
	}
	return info
}

// source reads parts of a file.
type source struct {
	io.ReaderAt
	size int64
}

// within reports whether the range lies in the file.
func (s *source) within(r Range) bool {
	return r.Offset >= 0 && r.Size >= 0 && r.Offset <= s.size && r.Size <= s.size-r.Offset
}

// bytes returns a part of the file, or nil if it is not in it or larger than limit.
func (s *source) bytes(r Range, limit int64) []byte {
	if !s.within(r) || r.Size > limit {
		return nil
	}
	b := make([]byte, r.Size)
	if n, _ := s.ReadAt(b, r.Offset); int64(n) < r.Size {
		return nil
	}
	return b
}

// text returns the zero-terminated text at offset, which lies in the range; "" if
// it has no end in maxName bytes.
func (s *source) text(r Range, offset uint64) string {
	if !s.within(r) || offset >= uint64(r.Size) { //nolint:gosec // within says it is not negative
		return ""
	}
	at := r.Offset + int64(offset) //nolint:gosec // less than r.Size
	b := s.bytes(Range{at, min(r.Offset+r.Size-at, 256)}, 256)
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return string(b[:i])
	}
	b = s.bytes(Range{at, min(r.Offset+r.Size-at, maxName)}, maxName)
	if before, _, ok := bytes.Cut(b, []byte{0}); ok {
		return string(before)
	}
	return ""
}
