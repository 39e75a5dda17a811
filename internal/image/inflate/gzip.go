package inflate

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// Flags of a member (RFC 1952, section 2.3.1). What text the file is does not
// matter here.
const (
	flagHeaderCRC = 1 << 1
	flagExtra     = 1 << 2
	flagName      = 1 << 3
	flagComment   = 1 << 4
	flagsReserved = 0xe0
)

// maxText bounds the name and the comment of a member, which may be of any
// length, in bytes with the NUL behind them; other readers in Go do the same.
const maxText = 512

// header reads a member's header. It returns io.EOF only if the input ends where
// a header may begin.
func (r *Reader) header() error {
	fixed := r.raw[:10]
	if _, err := io.ReadFull(r.in, fixed); err != nil {
		return err
	}
	flags := fixed[3]
	switch {
	case fixed[0] != 0x1f || fixed[1] != 0x8b:
		return corrupt("no gzip member begins with %q", fixed[:2])
	case fixed[2] != 8:
		return corrupt("compression method %d of a gzip member is not known", fixed[2])
	case flags&flagsReserved != 0:
		return corrupt("reserved flags %#x of a gzip member", flags)
	}
	h := &headerReader{r: r, crc: crc32.ChecksumIEEE(fixed)}
	if flags&flagExtra != 0 {
		h.skip(int(h.uint16()))
	}
	if flags&flagName != 0 {
		h.text()
	}
	if flags&flagComment != 0 {
		h.text()
	}
	if want := uint16(h.crc); flags&flagHeaderCRC != 0 && h.uint16() != want && h.err == nil { //nolint:gosec // the lower half is meant
		h.err = corrupt("checksum of a gzip member's header")
	}
	r.crc, r.size = 0, 0
	return noEOF(h.err)
}

// trailer compares the member with the checksum and size that follow it.
func (r *Reader) trailer() error {
	t := r.raw[:8]
	if _, err := io.ReadFull(r.in, t); err != nil {
		return err
	}
	r.sum()
	if want := binary.LittleEndian.Uint32(t[:4]); want != r.crc {
		return corrupt("the checksum is %08x, not %08x", r.crc, want)
	}
	if want := binary.LittleEndian.Uint32(t[4:]); want != r.size {
		return corrupt("the size is %d, not %d (modulo 2^32)", r.size, want)
	}
	return nil
}

// headerReader reads what may follow a header's fixed part, until an error comes.
type headerReader struct {
	r   *Reader
	crc uint32
	err error
}

func (h *headerReader) byte() byte {
	if h.err != nil {
		return 0
	}
	b := h.r.raw[:1]
	b[0], h.err = h.r.in.ReadByte()
	h.crc = crc32.Update(h.crc, crc32.IEEETable, b)
	return b[0]
}

func (h *headerReader) uint16() uint16 {
	low := uint16(h.byte())
	return low | uint16(h.byte())<<8
}

func (h *headerReader) skip(n int) {
	for ; n > 0 && h.err == nil; n-- {
		h.byte()
	}
}

// text passes over a name or comment.
func (h *headerReader) text() {
	for range maxText {
		if h.byte() == 0 {
			return
		}
	}
	if h.err == nil {
		h.err = errLongText
	}
}

var errLongText = errors.New("corrupt data: a gzip member's name or comment is too long")
