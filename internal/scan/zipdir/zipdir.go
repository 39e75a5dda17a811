// Package zipdir lists zip archives whose maker is not trusted (PKWARE's
// APPNOTE.TXT 6.3.10): the central directory is read once from its beginning to
// its end, entry by entry, and nothing is kept, so that an archive that claims
// millions of entries costs no memory.
package zipdir

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"

	"plimsoll/internal/fault"
)

const (
	endSize    = 22
	end64Size  = 56 // of the record for large archives, in front of
	where64    = 20 // the one that says where it is
	headerSize = 46
	unknown    = 1<<32 - 1 // a size or an offset that is said elsewhere
	localSize  = 30
	maxComment = 1<<16 - 1
	maxDir     = 64 << 20 // bytes of a central directory
	maxContent = 64 << 20 // bytes of all entries of one archive that are opened
	opening    = 4 << 10  // bytes of these that opening one costs
)

// Entry is one entry as the central directory has it.
type Entry struct {
	Name   string // as written
	Size   int64  // of its content, bytes; the archive's own claim
	packed int64
	at     int64 // of the local header, from the beginning of the archive
	method uint16
	flags  uint16
	r      io.ReaderAt
	left   *int64 // of maxContent
}

// Each calls fn for each entry of the archive that r holds in size bytes, which
// may begin with something else, as self-extracting archives do. It is Invalid
// if there is no archive or it is malformed.
func Each(r io.ReaderAt, size int64, fn func(Entry) error) error {
	dir, base, length, err := end(r, size)
	if err != nil {
		return err
	}
	if length > maxDir {
		return fault.Errorf(fault.Invalid, "the central directory takes more than %d bytes", maxDir)
	}
	in := bufio.NewReaderSize(io.NewSectionReader(r, dir, length), 32<<10)
	budget := int64(maxContent)
	for left := length; left > 0; {
		e := Entry{r: r, left: &budget}
		n, err := e.read(in)
		if err != nil {
			return err
		}
		left -= n
		e.at += base
		if err := fn(e); err != nil {
			return err
		}
	}
	return nil
}

// read reads one entry of a central directory (section 4.3.12). It returns how
// long that is.
func (e *Entry) read(in *bufio.Reader) (int64, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(in, header[:]); err != nil {
		return 0, fault.Errorf(fault.Invalid, "the central directory is cut short: %w", err)
	}
	if !bytes.HasPrefix(header[:], []byte("PK\x01\x02")) {
		return 0, fault.Errorf(fault.Invalid, "the central directory has something else between its entries")
	}
	name, extra, comment := u16(header[28:]), u16(header[30:]), u16(header[32:])
	text := make([]byte, name+extra)
	if _, err := io.ReadFull(in, text); err != nil {
		return 0, fault.Errorf(fault.Invalid, "an entry of the central directory is cut short: %w", err)
	}
	if _, err := in.Discard(comment); err != nil {
		return 0, fault.Errorf(fault.Invalid, "a comment in the central directory is cut short: %w", err)
	}
	e.Name, e.Size, e.packed, e.at = string(text[:name]), u32(header[24:]), u32(header[20:]), u32(header[42:])
	e.method, e.flags = binary.LittleEndian.Uint16(header[10:]), binary.LittleEndian.Uint16(header[8:])
	if e.Size == unknown || e.packed == unknown || e.at == unknown {
		if err := e.large(text[name:]); err != nil {
			return 0, err
		}
	}
	return int64(headerSize + name + extra + comment), nil
}

// large reads the extra field for large archives (section 4.5.3), which has those
// of the three numbers that did not fit.
func (e *Entry) large(extra []byte) error {
	for len(extra) >= 4 {
		id, size := u16(extra), u16(extra[2:])
		if extra = extra[4:]; size > len(extra) {
			break
		}
		if id != 1 {
			extra = extra[size:]
			continue
		}
		field := extra[:size]
		for _, n := range []*int64{&e.Size, &e.packed, &e.at} {
			if *n != unknown {
				continue
			}
			if len(field) < 8 || field[7]>>7 != 0 {
				return fault.Errorf(fault.Invalid, "%q has a size that nobody has", e.Name)
			}
			*n, field = u64(field), field[8:]
		}
		return nil
	}
	return nil // it is as large as it says
}

// end finds the record that ends an archive. It returns where the central
// directory begins, where the archive does, and how long the directory is.
func end(r io.ReaderAt, size int64) (dir, base, length int64, err error) {
	tail := make([]byte, min(size, endSize+maxComment))
	if _, err := r.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return 0, 0, 0, err
	}
	for i := len(tail) - endSize; i >= 0; i-- {
		if !bytes.HasPrefix(tail[i:], []byte("PK\x05\x06")) || i+endSize+u16(tail[i+20:]) != len(tail) {
			continue
		}
		at := size - int64(len(tail)) + int64(i)
		length, start := u32(tail[i+12:]), u32(tail[i+16:])
		if length == unknown || start == unknown || u16(tail[i+10:]) == 1<<16-1 {
			if at, length, start, err = end64(r, at, length, start); err != nil {
				return 0, 0, 0, err
			}
		}
		if length < 0 || start < 0 || length > at || start > at-length {
			return 0, 0, 0, fault.Errorf(fault.Invalid, "the central directory lies outside of the archive")
		}
		return at - length, at - length - start, length, nil
	}
	return 0, 0, 0, fault.Errorf(fault.Invalid, "no zip archive: it has no end record")
}

// end64 reads the end record for large archives (section 4.3.14), which lies in
// front of the one at end, with one between that says where it is. Without it
// the numbers are what they are.
func end64(r io.ReaderAt, end, length, start int64) (at, longer, later int64, err error) {
	at = end - where64 - end64Size
	if at < 0 {
		return end, length, start, nil
	}
	var record [end64Size]byte
	if _, err := r.ReadAt(record[:], at); err != nil {
		return 0, 0, 0, err
	}
	if !bytes.HasPrefix(record[:], []byte("PK\x06\x06")) {
		return end, length, start, nil
	}
	return at, u64(record[40:]), u64(record[48:]), nil
}

// Open returns the content, which is Invalid if it has more than limit bytes, if
// it is encrypted, or packed in another way than stored or deflated.
func (e *Entry) Open(limit int64) (io.Reader, error) {
	if e.flags&1 != 0 {
		return nil, fault.Errorf(fault.Invalid, "%q in the archive is encrypted", e.Name)
	}
	var local [localSize]byte
	if _, err := e.r.ReadAt(local[:], e.at); err != nil {
		return nil, fault.Errorf(fault.Invalid, "%q is not where the central directory says: %w", e.Name, err)
	}
	if !bytes.HasPrefix(local[:], []byte("PK\x03\x04")) {
		return nil, fault.Errorf(fault.Invalid, "%q is not where the central directory says", e.Name)
	}
	if *e.left -= opening; *e.left < 0 {
		return nil, fault.Errorf(fault.Invalid, "more is read of the archive than it may be")
	}
	content := io.NewSectionReader(e.r, e.at+int64(localSize+u16(local[26:])+u16(local[28:])), e.packed)
	switch e.method {
	case 0:
		return &bounded{content, limit, e.left}, nil
	case 8:
		return &bounded{flate.NewReader(content), limit, e.left}, nil
	}
	return nil, fault.Errorf(fault.Invalid, "%q in the archive is packed with method %d", e.Name, e.method)
}

// bounded ends with an error where an entry, or all that was read of the
// archive, is larger than it may be: entries may overlap.
type bounded struct {
	r     io.Reader
	left  int64
	total *int64
}

// Read implements [io.Reader].
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.left -= int64(n)
	*b.total -= int64(n)
	if b.left < 0 || *b.total < 0 {
		return 0, fault.Errorf(fault.Invalid, "what is packed in the archive is larger than it may be")
	}
	return n, err
}

func u16(b []byte) int   { return int(binary.LittleEndian.Uint16(b)) }
func u32(b []byte) int64 { return int64(binary.LittleEndian.Uint32(b)) }
func u64(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b)) } // #nosec G115 -- callers refuse what is negative
