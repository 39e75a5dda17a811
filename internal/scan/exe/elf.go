package exe

import (
	"debug/elf"
	"encoding/binary"
	"math"
)

// elfFile is the structure of an ELF file (System V ABI, chapters 4 and 5).
type elfFile struct {
	*source
	order    binary.ByteOrder
	wide     bool // of 64 bits
	machine  elf.Machine
	segments []segment
	sections []section
	symtab   Range // dynamic symbols, of known or guessed size
	strtab   Range // their names
}

type segment struct {
	kind    elf.ProgType
	flags   elf.ProgFlag
	file    Range
	address uint64
}

type section struct {
	name string
	kind elf.SectionType
	file Range // empty if it takes no place in the file
	link uint32
	text uint32 // where the name stands
}

// words reads the fields of a table's entry one after the other.
type words struct {
	b     []byte
	order binary.ByteOrder
	wide  bool
}

func (w *words) half() (v uint16) {
	v, w.b = w.order.Uint16(w.b), w.b[2:]
	return v
}

func (w *words) word() (v uint32) {
	v, w.b = w.order.Uint32(w.b), w.b[4:]
	return v
}

// native reads what is as wide as the file's addresses.
func (w *words) native() (v uint64) {
	if !w.wide {
		return uint64(w.word())
	}
	v, w.b = w.order.Uint64(w.b), w.b[8:]
	return v
}

// clamp turns what stands in a file into an offset or a size that no file has.
func clamp(v uint64) int64 {
	if v > math.MaxInt64/2 {
		return math.MaxInt64 / 2
	}
	return int64(v)
}

func (f *elfFile) words(b []byte) *words { return &words{b, f.order, f.wide} }

// openELF reads the header and the tables that it names; nil if there is none.
func openELF(s *source, head []byte) *elfFile {
	if len(head) < 52 {
		return nil
	}
	f := &elfFile{source: s, wide: head[elf.EI_CLASS] == byte(elf.ELFCLASS64)}
	switch elf.Data(head[elf.EI_DATA]) {
	case elf.ELFDATA2LSB:
		f.order = binary.LittleEndian
	case elf.ELFDATA2MSB:
		f.order = binary.BigEndian
	default:
		return nil
	}
	if f.wide && len(head) < 64 {
		return nil
	}
	w := f.words(head[16:])
	w.half() // type
	f.machine = elf.Machine(w.half())
	w.word()   // version
	w.native() // entry
	phoff, shoff := w.native(), w.native()
	w.word() // flags
	w.half() // size of the header
	phentsize, phnum, shentsize, shnum, shstrndx := w.half(), int64(w.half()), w.half(), int64(w.half()), uint32(w.half())
	if s := f.sectionZero(shoff, shentsize); s != nil {
		if phnum == 0xffff {
			phnum = int64(s.info)
		}
		if shnum == 0 {
			shnum = clamp(s.size)
		}
		if shstrndx == uint32(elf.SHN_XINDEX) {
			shstrndx = s.link
		}
	}
	f.readSegments(phoff, phentsize, phnum)
	f.readSections(shoff, shentsize, shnum, shstrndx)
	return f
}

// extended holds the counts that do not fit the header.
type extended struct {
	size uint64
	link uint32
	info uint32
}

func (f *elfFile) sectionZero(shoff uint64, entsize uint16) *extended {
	b := f.bytes(Range{clamp(shoff), int64(entsize)}, 64)
	if shoff == 0 || len(b) < f.sectionSize() {
		return nil
	}
	w := f.words(b)
	w.word()
	w.word()
	w.native()
	w.native()
	w.native()
	return &extended{size: w.native(), link: w.word(), info: w.word()}
}

func (f *elfFile) sectionSize() int {
	if f.wide {
		return 64
	}
	return 40
}

func (f *elfFile) segmentSize() int {
	if f.wide {
		return 56
	}
	return 32
}

func (f *elfFile) readSegments(phoff uint64, entsize uint16, n int64) {
	size := f.segmentSize()
	if int(entsize) != size || n > maxHeaders {
		return
	}
	b := f.bytes(Range{clamp(phoff), n * int64(size)}, maxHeaders*64)
	for ; len(b) >= size; b = b[size:] {
		w := f.words(b[:size])
		s := segment{kind: elf.ProgType(w.word())}
		if f.wide {
			s.flags = elf.ProgFlag(w.word())
		}
		s.file.Offset, s.address = clamp(w.native()), w.native()
		w.native() // physical address
		s.file.Size = clamp(w.native())
		w.native() // size in memory
		if !f.wide {
			s.flags = elf.ProgFlag(w.word())
		}
		f.segments = append(f.segments, s)
	}
}

func (f *elfFile) readSections(shoff uint64, entsize uint16, n int64, names uint32) {
	size := f.sectionSize()
	if shoff == 0 || int(entsize) != size || n > maxSections {
		return
	}
	b := f.bytes(Range{clamp(shoff), n * int64(size)}, maxSections*64)
	for ; len(b) >= size; b = b[size:] {
		w := f.words(b[:size])
		s := section{text: w.word(), kind: elf.SectionType(w.word())}
		w.native() // flags
		w.native() // address
		s.file.Offset, s.file.Size = clamp(w.native()), clamp(w.native())
		s.link = w.word()
		if s.kind == elf.SHT_NOBITS || s.kind == elf.SHT_NULL {
			s.file = Range{}
		}
		f.sections = append(f.sections, s)
	}
	if int64(names) >= int64(len(f.sections)) {
		return
	}
	texts := f.bytes(f.sections[names].file, maxNotes)
	for i := range f.sections {
		at := min(int(f.sections[i].text), len(texts))
		f.sections[i].name = textAt(texts[at:min(len(texts), at+maxSection)], 0)
	}
}

// textAt returns the zero-terminated text at offset in b, "" if there is none.
func textAt(b []byte, offset uint32) string {
	if int64(offset) >= int64(len(b)) {
		return ""
	}
	for i, c := range b[offset:] {
		if c == 0 {
			return string(b[offset : int(offset)+i])
		}
		if i > maxName {
			break
		}
	}
	return ""
}

// offset returns where in the file lies what is loaded at address, and how many
// bytes of it follow.
func (f *elfFile) offset(address uint64) (Range, bool) {
	for _, s := range f.segments {
		if s.kind == elf.PT_LOAD && address >= s.address && address-s.address < uint64(s.file.Size) { //nolint:gosec // clamped
			into := clamp(address - s.address)
			r := Range{s.file.Offset + into, s.file.Size - into}
			return r, r.Offset >= 0 && r.Offset < f.size
		}
	}
	return Range{}, false
}
