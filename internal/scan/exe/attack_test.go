package exe

import (
	"debug/elf"
	"encoding/binary"
	"testing"
)

// counting counts the bytes that are read.
type counting struct {
	b    []byte
	read int64
}

func (c *counting) ReadAt(p []byte, at int64) (int, error) {
	n := copy(p, c.b[min(at, int64(len(c.b))):])
	c.read += int64(n)
	return n, nil
}

// TestSectionsOfNotesOverEachOther: a section costs its header 64 bytes, and may
// name a megabyte that others name, too.
func TestSectionsOfNotesOverEachOther(t *testing.T) {
	const sections, shared = 1000, 512 << 10
	b := make([]byte, 64+sections*64+shared)
	copy(b, "\x7fELF\x02\x01\x01")
	le := binary.LittleEndian
	le.PutUint64(b[40:], 64) // where the sections are
	le.PutUint16(b[58:], 64)
	le.PutUint16(b[60:], sections)
	for i := range sections {
		s := b[64+i*64:]
		le.PutUint32(s[4:], uint32(elf.SHT_NOTE))
		le.PutUint64(s[24:], 64+sections*64)
		le.PutUint64(s[32:], shared)
	}
	c := &counting{b: b}
	info := Read(c, int64(len(b)))
	if info.Package() != nil || c.read > 8<<20 {
		t.Errorf("%d bytes were read of a file of %d", c.read, len(b))
	}
}
