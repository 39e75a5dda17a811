package java

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/klauspost/compress/flate"

	"plimsoll/internal/fault"
)

const (
	stored   = 0
	deflated = 8
)

// maxRatio is how many times larger than its packed form a nested archive may
// be, beyond the first slack bytes: archives are compressed already.
const (
	maxRatio = 100
	slack    = 1 << 20
)

// raw returns where the packed bytes of e are.
func (a *archive) raw(e *entry) (*io.SectionReader, error) {
	var head [localSize]byte
	at := a.base + e.offset
	if _, err := a.r.ReadAt(head[:], at); err != nil || string(head[:4]) != localMagic {
		return nil, fault.Errorf(fault.Invalid, "no entry is where the directory says")
	}
	at += localSize + int64(binary.LittleEndian.Uint16(head[26:])) + int64(binary.LittleEndian.Uint16(head[28:]))
	if e.encrypted {
		return nil, fault.Errorf(fault.Invalid, "the entry is encrypted")
	}
	if at+e.packed > a.central {
		return nil, fault.Errorf(fault.Invalid, "the entry reaches into the directory")
	}
	return io.NewSectionReader(a.r, at, e.packed), nil
}

// copy writes the content of e to dst and checks its size and sum.
func (a *archive) copy(dst io.Writer, e *entry, inflate io.ReadCloser) error {
	raw, err := a.raw(e)
	if err != nil {
		return err
	}
	var src io.Reader = raw
	switch e.method {
	case stored:
	case deflated:
		if err := inflate.(flate.Resetter).Reset(raw, nil); err != nil {
			return fmt.Errorf("reset inflater: %w", err)
		}
		src = inflate
	default:
		return fault.Errorf(fault.Invalid, "compression method %d is not one of Java's", e.method)
	}
	sum := crc32.NewIEEE()
	n, err := io.Copy(io.MultiWriter(dst, sum), io.LimitReader(src, e.size+1))
	switch {
	case err != nil:
		return fault.Errorf(fault.Invalid, "inflate: %w", err)
	case n != e.size:
		return fault.Errorf(fault.Invalid, "it does not have the %d bytes that the directory says", e.size)
	case sum.Sum32() != e.crc:
		return fault.Errorf(fault.Invalid, "its CRC-32 is not the one that the directory says")
	}
	return nil
}

// bytes returns the content of a small entry.
func (w *walker) bytes(a *archive, e *entry, limit int64) ([]byte, error) {
	if e.size > limit {
		return nil, fault.Errorf(fault.Invalid, "larger than %d bytes", limit)
	}
	if w.left -= e.size; w.left < 0 {
		return nil, errTooMuch
	}
	var b bytes.Buffer
	err := a.copy(&b, e, w.inflate)
	return b.Bytes(), err
}

// scratch holds a nested archive that was compressed: in memory if it is small,
// else in a temporary file without a name.
type scratch struct {
	bytes.Buffer
	file *os.File
}

const inMemory = 4 << 20 // bytes

// nested returns the content of an archive in a. Close the scratch, if it is not
// nil, when done.
func (w *walker) nested(a *archive, e *entry) (io.ReaderAt, *scratch, error) {
	if e.method == stored && e.packed == e.size {
		r, err := a.raw(e)
		return r, nil, err
	}
	if e.size > slack && e.size/maxRatio > e.packed {
		return nil, nil, fault.Errorf(fault.Invalid, "%d bytes are packed into %d: a bomb", e.size, e.packed)
	}
	if w.left -= e.size; w.left < 0 {
		return nil, nil, errTooMuch
	}
	s := &scratch{}
	if e.size <= inMemory {
		s.Grow(int(e.size) + bytes.MinRead)
		err := a.copy(&s.Buffer, e, w.inflate)
		return bytes.NewReader(s.Bytes()), s, err
	}
	f, err := os.CreateTemp("", "plimsoll-java-*")
	if err != nil {
		return nil, nil, fmt.Errorf("make temporary file: %w", err)
	}
	s.file = f
	if err := os.Remove(f.Name()); err != nil {
		return nil, s, fmt.Errorf("unlink temporary file: %w", err)
	}
	return f, s, a.copy(f, e, w.inflate)
}

// errTooMuch says that the archive in all is a bomb.
var errTooMuch = fault.As(fault.Invalid, errors.New("the archives in it have too many bytes in all"))

func (s *scratch) close() {
	if s != nil && s.file != nil {
		_ = s.file.Close() // it has no name: nothing can be lost
	}
}
