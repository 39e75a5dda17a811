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
	headerSize = 46
	localSize  = 30
	maxComment = 1<<16 - 1
	maxDir     = 64 << 20  // bytes of a central directory
	maxContent = 256 << 20 // bytes of all entries of one archive that are opened
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
	var header [headerSize]byte
	var text []byte
	for left := length; left > 0; {
		if _, err := io.ReadFull(in, header[:]); err != nil {
			return fault.Errorf(fault.Invalid, "the central directory is cut short: %w", err)
		}
		if !bytes.HasPrefix(header[:], []byte("PK\x01\x02")) {
			return fault.Errorf(fault.Invalid, "the central directory has something else between its entries")
		}
		name, extra, comment := u16(header[28:]), u16(header[30:]), u16(header[32:])
		if cap(text) < name {
			text = make([]byte, name)
		}
		if _, err := io.ReadFull(in, text[:name]); err != nil {
			return fault.Errorf(fault.Invalid, "a name in the central directory is cut short: %w", err)
		}
		if _, err := in.Discard(extra + comment); err != nil {
			return fault.Errorf(fault.Invalid, "an entry of the central directory is cut short: %w", err)
		}
		left -= int64(headerSize + name + extra + comment)
		e := Entry{
			Name: string(text[:name]), Size: u32(header[24:]), packed: u32(header[20:]), at: base + u32(header[42:]),
			method: binary.LittleEndian.Uint16(header[10:]), flags: binary.LittleEndian.Uint16(header[8:]), r: r, left: &budget,
		}
		if err := fn(e); err != nil {
			return err
		}
	}
	return nil
}

// end finds the record that ends an archive. It returns where the central
// directory begins, where the archive does, and how long the directory is.
func end(r io.ReaderAt, size int64) (dir, base, length int64, err error) {
	tail := make([]byte, min(size, endSize+maxComment))
	if _, err := r.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF { //nolint:errorlint // io.ReaderAt returns it bare
		return 0, 0, 0, err
	}
	for i := len(tail) - endSize; i >= 0; i-- {
		if !bytes.HasPrefix(tail[i:], []byte("PK\x05\x06")) || i+endSize+u16(tail[i+20:]) != len(tail) {
			continue
		}
		at := size - int64(len(tail)) + int64(i)
		length, start := u32(tail[i+12:]), u32(tail[i+16:])
		if length == 1<<32-1 || start == 1<<32-1 || u16(tail[i+10:]) == 1<<16-1 {
			return 0, 0, 0, fault.Errorf(fault.Invalid, "an archive of the form for more than 4 GiB or 65,535 entries")
		}
		if length+start > at {
			return 0, 0, 0, fault.Errorf(fault.Invalid, "the central directory lies outside of the archive")
		}
		return at - length, at - length - start, length, nil
	}
	return 0, 0, 0, fault.Errorf(fault.Invalid, "no zip archive: it has no end record")
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
