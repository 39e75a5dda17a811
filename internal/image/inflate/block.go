package inflate

import (
	"encoding/binary"
	"io"
)

// need reads until there are k bits, at most 32.
func (r *Reader) need(k uint) error {
	for r.n < k {
		b, err := r.in.ReadByte()
		if err != nil {
			return err
		}
		r.bits |= uint64(b) << (r.n & 63)
		r.n += 8
	}
	return nil
}

// drop takes k bits, which must be there.
func (r *Reader) drop(k uint) {
	r.bits >>= k
	r.n -= k
}

// take reads k bits, at most 16, as a number.
func (r *Reader) take(k uint) (int, error) {
	if err := r.need(k); err != nil {
		return 0, err
	}
	v := int(r.bits & (1<<k - 1)) //nolint:gosec // 16 bits at most
	r.drop(k)
	return v, nil
}

// block reads a block's header (RFC 1951, section 3.2.3).
func (r *Reader) block() error {
	v, err := r.take(3)
	if err != nil {
		return err
	}
	r.last = v&1 != 0
	switch v >> 1 {
	case 0:
		return r.storedHeader()
	case 1:
		r.state, r.codes = inSymbols, r.fixedCodes()
		return nil
	case 2:
		r.state, r.codes = inSymbols, &r.own
		return r.ownCodes()
	}
	return corrupt("block of the reserved type")
}

// storedHeader reads how many bytes are stored (RFC 1951, section 3.2.4).
func (r *Reader) storedHeader() error {
	r.bits, r.n = 0, 0 // the rest of the byte
	b := r.raw[:4]
	if _, err := io.ReadFull(r.in, b); err != nil {
		return err
	}
	size, check := binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:])
	if size != ^check {
		return corrupt("length of stored bytes %#04x with the complement %#04x", size, check)
	}
	r.state, r.stored = inStored, int(size)
	return nil
}

// copyStored copies what is stored as far as the buffer holds it.
func (r *Reader) copyStored() error {
	n, err := io.ReadFull(r.in, r.out[r.pos:r.pos+min(r.stored, mask+1-r.pos)])
	r.pos += n
	r.stored -= n
	if err == nil && r.stored == 0 {
		r.endBlock()
	}
	return err
}

// fixedCodes returns the codes of RFC 1951, section 3.2.6.
func (r *Reader) fixedCodes() *codes {
	if r.fixed == nil {
		var lens [288]uint8
		for i := range lens {
			switch {
			case i < 144:
				lens[i] = 8
			case i < 256:
				lens[i] = 9
			case i < 280:
				lens[i] = 7
			default:
				lens[i] = 8
			}
		}
		var dists [32]uint8
		for i := range dists {
			dists[i] = 5
		}
		r.fixed = new(codes)
		var l lengths
		l.init(lens[:])
		l.fill(r.fixed.lit[:], litBits, litSymbols[:])
		l.init(dists[:])
		l.fill(r.fixed.dist[:], distBits, distSymbols[:])
	}
	return r.fixed
}

// preOrder is the order of the code lengths of the codes for code lengths.
var preOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// ownCodes reads the codes of a block that brings its own (RFC 1951, section 3.2.7).
func (r *Reader) ownCodes() error {
	v, err := r.take(14)
	if err != nil {
		return err
	}
	lits, dists, pres := v&31+257, v>>5&31+1, v>>10+4
	if lits > maxLit || dists > maxDist {
		return corrupt("codes for %d literals and lengths and %d distances", lits, dists)
	}
	var pre [19]uint8
	for _, i := range preOrder[:pres] {
		n, err := r.take(3)
		if err != nil {
			return err
		}
		pre[i] = uint8(n) //nolint:gosec // three bits
	}
	var l lengths
	if !l.init(pre[:]) || l.used == 0 {
		return corrupt("the codes for code lengths are no code")
	}
	var table [1 << preBits]entry
	l.fill(table[:], preBits, preSymbols[:])
	var lens [maxLit + maxDist]uint8
	if err := r.codeLengths(&table, lens[:lits+dists]); err != nil {
		return err
	}
	if lens[256] == 0 {
		return corrupt("no code for the end of the block")
	}
	if !l.init(lens[:lits]) {
		return corrupt("the codes for literals and lengths are no code")
	}
	l.fill(r.own.lit[:], litBits, litSymbols[:])
	if !l.init(lens[lits : lits+dists]) {
		return corrupt("the codes for distances are no code")
	}
	l.fill(r.own.dist[:], distBits, distSymbols[:])
	return nil
}

// codeLengths reads run-length coded code lengths with the codes in table.
func (r *Reader) codeLengths(table *[1 << preBits]entry, lens []uint8) error {
	for i := 0; i < len(lens); {
		e := table[r.bits&(1<<preBits-1)]
		if n := uint(e & takes); n > r.n {
			if err := r.need(r.n + 1); err != nil {
				return err
			}
			continue
		}
		if e&kinds == invalid {
			return corrupt("no such code for a code length")
		}
		r.drop(uint(e & takes))
		symbol := e >> inBase
		if symbol < 16 {
			lens[i] = uint8(symbol)
			i++
			continue
		}
		value, repeat, extra := uint8(0), 3, uint(3)
		switch symbol {
		case 16:
			if i == 0 {
				return corrupt("the first code length repeats one before it")
			}
			value, extra = lens[i-1], 2
		case 18:
			repeat, extra = 11, 7
		}
		more, err := r.take(extra)
		if err != nil {
			return err
		}
		if repeat += more; repeat > len(lens)-i {
			return corrupt("more code lengths than symbols")
		}
		for range repeat {
			lens[i] = value
			i++
		}
	}
	return nil
}
