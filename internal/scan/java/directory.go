package java

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"plimsoll/internal/fault"
)

// The records of a zip file (APPNOTE 6.3.10, section 4.3) and their sizes
// without what varies.
const (
	localMagic   = "PK\x03\x04"
	centralMagic = "PK\x01\x02"
	endMagic     = "PK\x05\x06"
	end64Magic   = "PK\x06\x06"
	locatorMagic = "PK\x06\x07"

	localSize   = 30
	centralSize = 46
	endSize     = 22
	end64Size   = 56
	locatorSize = 20

	maxComment = 1<<16 - 1
	maxEntries = 1 << 20 // of one archive
)

// errNoArchive says that a file has no end record.
var errNoArchive = errors.New("no end record: not a zip file, or cut short")

// archive is a zip file within r.
type archive struct {
	r       io.ReaderAt
	base    int64 // where its first byte is, behind a script
	central int64 // where the directory begins
	length  int64 // of the directory, bytes
}

// entry is a file in an archive, as the directory describes it.
type entry struct {
	name         string
	method       uint16
	encrypted    bool
	crc          uint32
	packed, size int64
	offset       int64 // of its local header
}

// openArchive finds the directory as the JVM does (zip_util.c, ZipFile.java): by
// the last end record whose comment ends with the file, or before which there
// are a directory and a first entry.
func openArchive(r io.ReaderAt, size int64) (*archive, error) {
	for _, n := range []int64{1 << 10, endSize + maxComment} {
		n = min(n, size)
		tail := make([]byte, n)
		if _, err := r.ReadAt(tail, size-n); err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read the end: %w", err)
		}
		for i := len(tail); ; {
			if i = bytes.LastIndex(tail[:i], []byte(endMagic)); i < 0 {
				break
			}
			if len(tail)-i < endSize {
				continue
			}
			if a, ok := atEnd(r, tail[i:], size-n+int64(i)); ok {
				return a, nil
			}
		}
	}
	return nil, errNoArchive
}

// atEnd returns the archive whose end record is at position pos.
func atEnd(r io.ReaderAt, end []byte, pos int64) (*archive, bool) {
	exact := int(binary.LittleEndian.Uint16(end[20:]))+endSize == len(end)
	length, offset := int64(binary.LittleEndian.Uint32(end[12:])), int64(binary.LittleEndian.Uint32(end[16:]))
	if length == 1<<32-1 || offset == 1<<32-1 || binary.LittleEndian.Uint16(end[10:]) == 1<<16-1 {
		if l, o, p, ok := end64(r, pos); ok {
			length, offset, pos = l, o, p
		}
	}
	a := &archive{r: r, length: length, central: pos - length, base: pos - length - offset}
	if length < 0 || offset < 0 || a.central < 0 || a.base < 0 {
		return nil, false
	}
	if length == 0 {
		return a, exact
	}
	if !begins(r, a.central, centralMagic) {
		return nil, false
	}
	return a, exact || begins(r, a.base, localMagic)
}

// end64 returns the directory's length and offset, and the position of the
// 64-bit end record, if there is one before an end record at pos.
func end64(r io.ReaderAt, pos int64) (length, offset, at int64, ok bool) {
	var locator [locatorSize]byte
	if _, err := r.ReadAt(locator[:], pos-locatorSize); pos < locatorSize+end64Size || err != nil || string(locator[:4]) != locatorMagic {
		return 0, 0, 0, false
	}
	told := int64(binary.LittleEndian.Uint64(locator[8:])) //nolint:gosec // a negative one is refused
	for _, at := range []int64{told, pos - locatorSize - end64Size} {
		var end [end64Size]byte
		if at < 0 || at > pos-end64Size {
			continue
		}
		if _, err := r.ReadAt(end[:], at); err == nil && string(end[:4]) == end64Magic {
			return int64(binary.LittleEndian.Uint64(end[40:])), int64(binary.LittleEndian.Uint64(end[48:])), at, true //nolint:gosec // negative ones are refused
		}
	}
	return 0, 0, 0, false
}

func begins(r io.ReaderAt, at int64, magic string) bool {
	var b [4]byte
	n, _ := r.ReadAt(b[:], at)
	return n == len(b) && string(b[:]) == magic
}

// span is what an entry takes of the file at least.
type span struct{ from, to int64 }

// each calls fn with each entry, without a name, and its name; both are valid
// only during the call. It fails if the directory is malformed or entries lie
// over each other; spans is memory to work in.
func (a *archive) each(spans *[]span, fn func(name []byte, e *entry)) error {
	r := bufio.NewReaderSize(io.NewSectionReader(a.r, a.central, a.length), int(min(64<<10, max(a.length, 16))))
	*spans = (*spans)[:0]
	var head [centralSize]byte
	var rest []byte
	var e entry
	for left := a.length; left > 0; {
		if len(*spans) == maxEntries {
			return fault.Errorf(fault.Invalid, "more than %d entries", maxEntries)
		}
		if _, err := io.ReadFull(r, head[:]); err != nil || string(head[:4]) != centralMagic {
			return fault.Errorf(fault.Invalid, "the directory of the archive is malformed at entry %d", len(*spans)+1)
		}
		name := int(binary.LittleEndian.Uint16(head[28:]))
		extra := int(binary.LittleEndian.Uint16(head[30:]))
		n := name + extra + int(binary.LittleEndian.Uint16(head[32:]))
		if cap(rest) < n {
			rest = make([]byte, n, 2*n)
		}
		rest = rest[:n]
		if _, err := io.ReadFull(r, rest); err != nil {
			return fault.Errorf(fault.Invalid, "the directory of the archive is cut short at entry %d", len(*spans)+1)
		}
		left -= int64(centralSize + n)
		e = parse(head[:], rest[name:name+extra])
		from := a.base + e.offset
		to := from + localSize + int64(name) + e.packed
		if e.offset < 0 || e.packed < 0 || e.size < 0 || to > a.central || to < from {
			return fault.Errorf(fault.Invalid, "%.200q lies outside of the archive", rest[:name])
		}
		*spans = append(*spans, span{from, to})
		fn(rest[:name], &e)
	}
	return disjoint(*spans)
}

// parse reads a directory entry's fields and, where they do not fit, their
// 64-bit forms among the extra fields (APPNOTE, section 4.5.3).
func parse(head, extra []byte) entry {
	u32 := func(at int) int64 { return int64(binary.LittleEndian.Uint32(head[at:])) }
	e := entry{
		method:    binary.LittleEndian.Uint16(head[10:]),
		encrypted: head[8]&1 != 0,
		crc:       binary.LittleEndian.Uint32(head[16:]),
		packed:    u32(20), size: u32(24), offset: u32(42),
	}
	for len(extra) >= 4 {
		id, n := binary.LittleEndian.Uint16(extra), int(binary.LittleEndian.Uint16(extra[2:]))
		if extra = extra[4:]; n > len(extra) {
			break
		}
		field := extra[:n]
		extra = extra[n:]
		if id != 1 {
			continue
		}
		for _, v := range []*int64{&e.size, &e.packed, &e.offset} {
			if *v == 1<<32-1 && len(field) >= 8 {
				*v = int64(binary.LittleEndian.Uint64(field)) //nolint:gosec // a negative one is refused
				field = field[8:]
			}
		}
		break
	}
	return e
}

// disjoint fails if two entries lie over each other.
func disjoint(spans []span) error {
	order := func(a, b span) int { return cmp.Compare(a.from, b.from) }
	if !slices.IsSortedFunc(spans, order) {
		slices.SortFunc(spans, order)
	}
	for i := 1; i < len(spans); i++ {
		if spans[i].from < spans[i-1].to {
			return fault.Errorf(fault.Invalid, "entries of the archive lie over each other")
		}
	}
	return nil
}

// has reports whether there is a class below the folder.
func (a *archive) has(spans *[]span, folder string) bool {
	found := false
	_ = a.each(spans, func(name []byte, _ *entry) { // its errors were told before
		found = found || (bytes.HasPrefix(name, []byte(folder)) && bytes.HasSuffix(name, []byte(".class")))
	})
	return found
}
