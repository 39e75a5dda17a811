package exe

import (
	"debug/elf"
)

// maxSymbols bounds the symbols that are looked through.
const maxSymbols = 1 << 21

// Section returns the section of that name; ok is false if there is none, as in a
// file without a section table.
func (i *Info) Section(name string) (s Section, ok bool) {
	if i.file == nil {
		return s, false
	}
	for _, s := range i.file.sections {
		if s.Name == name {
			return s, true
		}
	}
	return s, false
}

// Exports reports whether the file defines a dynamic symbol of that name for
// others to use.
func (i *Info) Exports(name string) bool {
	defined := false
	i.Symbols(func(s Symbol) bool {
		defined = s.Name == name && s.Section != uint16(elf.SHN_UNDEF)
		return !defined
	}, name)
	return defined
}

// Symbol is a symbol of an ELF file.
type Symbol struct {
	Name    string
	Section uint16
	Value   uint64
	Size    uint64
}

// Symbols calls yield for the symbols that have one of the names, in the dynamic
// table and in that of the linker, until it returns false.
func (i *Info) Symbols(yield func(Symbol) bool, names ...string) {
	if i.file == nil {
		return
	}
	f := i.file
	more := f.symbols(f.symtab, f.strtab, names, yield)
	for _, s := range f.sections {
		if more && (s.Type == elf.SHT_SYMTAB || s.Type == elf.SHT_DYNSYM && f.symtab.Size == 0) && int64(s.link) < int64(len(f.sections)) {
			more = f.symbols(s.File, f.sections[s.link].File, names, yield)
		}
	}
}

func (f *elfFile) symbols(table, texts Range, names []string, yield func(Symbol) bool) bool {
	size := int64(24)
	if !f.wide {
		size = 16
	}
	texts.Size = min(texts.Size, f.size-texts.Offset)
	strings := f.bytes(texts, maxStrings)
	if table.Size <= 0 || strings == nil {
		return true
	}
	const chunk = 4096
	left := min(table.Size/size, (f.size-table.Offset)/size, maxSymbols)
	for at := table.Offset; left > 0; at += chunk * size {
		b := f.bytes(Range{at, min(left, chunk) * size}, chunk*24)
		if b == nil {
			return true
		}
		left -= chunk
		for ; int64(len(b)) >= size; b = b[size:] {
			s := f.symbol(b[:size], strings, names)
			if s.Name != "" && !yield(s) {
				return false
			}
		}
	}
	return true
}

// symbol decodes a symbol if it has one of the names.
func (f *elfFile) symbol(b, strings []byte, names []string) (s Symbol) {
	w := f.words(b)
	name := w.word()
	for _, n := range names {
		if end := int64(name) + int64(len(n)); end < int64(len(strings)) && string(strings[name:end]) == n && strings[end] == 0 {
			s.Name = n
		}
	}
	if s.Name == "" {
		return s
	}
	if f.wide {
		s.Section = f.order.Uint16(b[6:])
		s.Value, s.Size = f.order.Uint64(b[8:]), f.order.Uint64(b[16:])
		return s
	}
	s.Value, s.Size = uint64(w.word()), uint64(w.word())
	s.Section = f.order.Uint16(b[14:])
	return s
}
