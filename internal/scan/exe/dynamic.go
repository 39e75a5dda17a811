package exe

import (
	"debug/elf"
)

const maxDynamic = 1 << 20 // bytes of the dynamic section

func (i *Info) readELF(s *source, head []byte) {
	f := openELF(s, head)
	if f == nil {
		return
	}
	i.elf = f
	for _, s := range f.sections {
		i.sections = append(i.sections, named{s.name, s.file})
	}
	i.BuildID = f.note("GNU", noteBuildID)
	i.readDynamic(f)
}

// readDynamic reads what the loader reads: through the program headers, not
// through the sections, which may have been stripped.
func (i *Info) readDynamic(f *elfFile) {
	table := f.dynamic()
	var needed []uint64
	var soname, strtab, strsz, symtab uint64
	size := 16
	if !f.wide {
		size = 8
	}
	for ; len(table) >= size; table = table[size:] {
		w := f.words(table)
		tag, value := elf.DynTag(clamp(w.native())), w.native()
		if tag == elf.DT_NULL {
			break
		}
		switch tag { //nolint:exhaustive // the others do not matter here
		case elf.DT_NEEDED:
			if len(needed) < maxNeeded {
				needed = append(needed, value)
			}
		case elf.DT_SONAME:
			soname = value
		case elf.DT_STRTAB:
			strtab = value
		case elf.DT_STRSZ:
			strsz = value
		case elf.DT_SYMTAB:
			symtab = value
		}
	}
	names, ok := f.offset(strtab)
	if !ok || strtab == 0 {
		return
	}
	names.Size = min(names.Size, clamp(strsz), f.size-names.Offset)
	for _, n := range needed {
		if name := f.text(names, n); name != "" {
			i.Needed = append(i.Needed, name)
		}
	}
	if soname != 0 {
		i.Soname = f.text(names, soname)
	}
	f.strtab = names
	if r, ok := f.offset(symtab); ok && symtab != 0 {
		f.symtab = r
		if r.Offset < names.Offset { // linkers put the names behind the symbols
			f.symtab.Size = min(r.Size, names.Offset-r.Offset)
		}
	}
}

// dynamic returns the dynamic section, nil if the file has none.
func (f *elfFile) dynamic() []byte {
	for _, s := range f.segments {
		if s.kind == elf.PT_DYNAMIC {
			s.file.Size = min(s.file.Size, maxDynamic)
			return f.bytes(s.file, maxDynamic)
		}
	}
	return nil
}
