package exe

import (
	"debug/elf"
)

// Note types that this package looks for.
const (
	noteBuildID = 3          // of owner "GNU"
	notePackage = 0xcafe1a7e // of owner "FDO": https://systemd.io/ELF_PACKAGE_METADATA
)

// note returns what the first note of that owner and type holds.
func (f *elfFile) note(owner string, kind uint32) []byte {
	left := int64(maxNotes) // of all: sections may lie over each other
	for _, s := range f.sections {
		if s.kind == elf.SHT_NOTE {
			if d := f.noteIn(s.file, &left, owner, kind); d != nil {
				return d
			}
		}
	}
	for _, s := range f.segments {
		if s.kind == elf.PT_NOTE {
			if d := f.noteIn(s.file, &left, owner, kind); d != nil {
				return d
			}
		}
	}
	return nil
}

func (f *elfFile) noteIn(r Range, left *int64, owner string, kind uint32) []byte {
	b := f.bytes(r, *left)
	*left -= int64(len(b))
	for len(b) >= 12 {
		w := f.words(b)
		n, d, k := int64(w.word()), int64(w.word()), w.word()
		end := 12 + align4(n) + d
		if end > int64(len(b)) {
			return nil
		}
		if k == kind && n > 0 && string(b[12:12+n-1]) == owner {
			return b[12+align4(n) : end]
		}
		b = b[min(align4(end), int64(len(b))):]
	}
	return nil
}

func align4(n int64) int64 { return (n + 3) &^ 3 }

// Package returns the text of the note .note.package, JSON by its specification;
// nil if the file has none.
func (i *Info) Package() []byte {
	if i.elf == nil {
		return nil
	}
	return i.elf.note("FDO", notePackage)
}
