// Package inflate reads gzip (RFC 1952) and the DEFLATE data in it (RFC 1951),
// faster than the general readers do: reading an image is mostly inflating.
//
// The reader decodes straight into memory that its user lends it, a [Buffer],
// which has room before the output for the 32 KiB that matches may reach back,
// so that nothing is copied but those. Bits come from a 64-bit word that is
// filled by eight bytes at a time; a lookup in a table of 2,048 entries yields a
// literal, or a match's length with the number of its extra bits. (Entries of two
// and three literals were tried: layers gain less than making them costs.) Where
// input or output end, symbols are read one at a time and with care.
//
// The input is hostile. Every index is masked or checked by the compiler; what
// compress/flate refuses is refused.
package inflate

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	history = 32 << 10 // bytes that a match may reach back (RFC 1951, section 2)
	longest = 258      // bytes of the longest match
	mask    = 1<<18 - 1

	// full is where a buffer counts as full: what one round of the fast loop
	// writes, some of which is then written over, still fits behind it.
	full = mask + 1 - (longest + 62)
)

// Size is the most bytes that a [Buffer] gives at once.
const Size = mask + 1 - history

// Buffer is memory for a piece of output and for what came before it.
type Buffer [mask + 1 + 8]byte

// Bytes returns the part of b that may be filled with anything by users that
// share buffers with a [Reader].
func (b *Buffer) Bytes() []byte { return b[history : mask+1] }

// state says what comes next in the input.
type state uint8

const (
	atMember  state = iota // a member's header, or the end
	atBlock                // a block's header
	inStored               // stored bytes, as many as stored says
	inSymbols              // compressed data, coded as codes says
	atTrailer              // a member's checksum and size
)

// Reader reads the members of a gzip file as one stream. It must not be used
// concurrently.
type Reader struct {
	in   *bufio.Reader
	raw  [10]byte // room for headers and trailers
	bits uint64   // read and not used, the next bit lowest
	n    uint     // how many there are; fewer than 8 between symbols

	state  state
	last   bool // the current block is the member's last
	stored int
	codes  *codes
	fixed  *codes // RFC 1951, section 3.2.6; made when first needed
	own    codes  // of the current block

	out      *Buffer // the buffer that is or was filled
	pos, low int     // in out: the next byte's place, and the first byte that matches may reach
	summed   int     // in out: bytes before it are in crc
	crc      uint32  // of the member so far
	size     uint32  // of the member so far, modulo 2^32
	err      error

	lent *Buffer // that Read uses
	rest []byte
}

// NewReader reads the header of the first member from in and returns a Reader of
// the plain data. If in is a [bufio.Reader], nothing behind the last member is
// taken from it.
func NewReader(in io.Reader) (*Reader, error) {
	r := &Reader{in: bufio.NewReader(in), pos: history, low: history, summed: history}
	if b, ok := in.(*bufio.Reader); ok {
		r.in = b
	}
	if err := r.header(); err != nil {
		return nil, noEOF(err)
	}
	r.state = atBlock
	return r, nil
}

// Next decodes the next piece of the plain data, up to [Size] bytes, into b and
// returns it. It returns io.EOF, and maybe a last piece, at the end of the last
// member; io.ErrUnexpectedEOF if the input is cut; an error of reading as it is;
// and otherwise an error that says what is wrong with the data.
//
// The bytes of the buffer given before must not have been changed: they are what
// the data refers back to. They may be read at the same time.
func (r *Reader) Next(b *Buffer) ([]byte, error) {
	if r.err != nil {
		return nil, r.err
	}
	r.carry(b)
	for r.err == nil && r.pos < full {
		r.err = r.step()
	}
	r.sum()
	return b[history:r.pos], r.err
}

// carry moves to b what matches may reach back for.
func (r *Reader) carry(b *Buffer) {
	keep := min(r.pos-r.low, history)
	if keep > 0 {
		copy(b[history-keep:history], r.out[r.pos-keep:r.pos])
	}
	r.out, r.pos, r.low, r.summed = b, history, history-keep, history
}

// sum adds what was decoded since it was last called to the checksum.
func (r *Reader) sum() {
	p := r.out[r.summed:r.pos]
	r.crc = crc32.Update(r.crc, crc32.IEEETable, p)
	r.size += uint32(len(p)) //nolint:gosec // less than a buffer
	r.summed = r.pos
}

func (r *Reader) step() error {
	switch r.state {
	case atMember:
		if err := r.header(); err != nil {
			return err
		}
		r.state = atBlock
	case atBlock:
		return noEOF(r.block())
	case inStored:
		return noEOF(r.copyStored())
	case inSymbols:
		return noEOF(r.symbols())
	case atTrailer:
		if err := r.trailer(); err != nil {
			return noEOF(err)
		}
		r.state, r.low = atMember, r.pos
	}
	return nil
}

// endBlock goes on behind the current block.
func (r *Reader) endBlock() {
	r.state = atBlock
	if r.last {
		r.state = atTrailer
		r.bits, r.n = 0, 0 // the rest of the byte
	}
}

// Read implements [io.Reader]. It copies; [Reader.Next] does not. One Reader
// should be read in one of the two ways only.
func (r *Reader) Read(p []byte) (int, error) {
	if r.lent == nil {
		r.lent = new(Buffer)
	}
	for len(r.rest) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.rest, _ = r.Next(r.lent)
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// noEOF turns the end of the input, where more must come, into an error.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// corrupt says what is wrong with the data.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("corrupt data: "+format, args...)
}
