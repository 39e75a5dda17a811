package scan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"plimsoll/internal/fault"
)

const (
	spillMemory = 4 << 20 // bytes that are kept in memory
	spillMax    = 2 << 30 // bytes of a file that are read at all
)

// buffers are those of the spills that are not in use.
var buffers = sync.Pool{New: func() any { return new([spillMemory]byte) }}

// spill holds one file at a time for random access: in memory if it is small,
// else in one temporary file that has no name, so that nothing is left behind.
type spill struct {
	memory *[spillMemory]byte
	file   *os.File
	max    int64
}

func newSpill() *spill { return &spill{max: spillMax} }

// Fill reads r to its end. What it returned before is no longer valid.
func (s *spill) Fill(r io.Reader) (ReaderAt, error) {
	if s.memory == nil {
		s.memory, _ = buffers.Get().(*[spillMemory]byte)
	}
	n, err := io.ReadFull(r, s.memory[:])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return bytes.NewReader(s.memory[:n]), nil
	}
	if err != nil {
		return nil, err
	}
	if err := s.open(); err != nil {
		return nil, err
	}
	if _, err := s.file.WriteAt(s.memory[:], 0); err != nil {
		return nil, fmt.Errorf("write temporary file: %w", err)
	}
	rest, err := io.CopyBuffer(io.NewOffsetWriter(s.file, spillMemory), io.LimitReader(r, s.max-spillMemory+1), s.memory[:])
	if err != nil {
		return nil, fmt.Errorf("copy to temporary file: %w", err)
	}
	if rest > s.max-spillMemory {
		return nil, fault.Errorf(fault.Invalid, "the file is larger than %d bytes", s.max)
	}
	return io.NewSectionReader(s.file, 0, spillMemory+rest), nil
}

// open makes the temporary file, or empties it.
func (s *spill) open() error {
	if s.file != nil {
		return s.file.Truncate(0)
	}
	f, err := os.CreateTemp("", "plimsoll-scan-*")
	if err != nil {
		return fmt.Errorf("make temporary file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return errors.Join(fmt.Errorf("unlink temporary file: %w", err), f.Close())
	}
	s.file = f
	return nil
}

// Close gives back what the spill holds.
func (s *spill) Close() {
	if s.memory != nil {
		buffers.Put(s.memory)
		s.memory = nil
	}
	if s.file != nil {
		_ = s.file.Close() // it has no name: nothing can be lost
		s.file = nil
	}
}
