package inflate

import "encoding/binary"

// load returns the eight bytes of b from i on. The masks let the compiler see
// that no index leaves the buffer; where decoding goes right they change nothing.
func load(b *Buffer, i uint) uint64 {
	i &= mask
	return binary.LittleEndian.Uint64(b[i : i+8 : i+8])
}

// store writes v to the eight bytes of b from i on.
func store(b *Buffer, i uint, v uint64) {
	i &= mask
	binary.LittleEndian.PutUint64(b[i:i+8:i+8], v)
}

// fast decodes as long as the input that was read and the room in the buffer are
// enough for a whole round: literals and a match. It takes fewer than 64 bits
// between two loads, so of n, from which whole entries are subtracted, only the
// lowest six bits count.
func (r *Reader) fast() error {
	in, err := r.in.Peek(r.in.Buffered())
	if err != nil {
		return err
	}
	c, out := r.codes, r.out
	bits, n := r.bits, r.n
	pos, low := uint(r.pos), uint(r.low)
	i, end := 0, len(in)-ahead
	ended := false

	for i <= end && pos < full {
		// Whole bytes are counted; the bits above them are already right.
		bits |= binary.LittleEndian.Uint64(in[i:i+8:i+8]) << (n & 63)
		i += 7 - int(n>>3&7)
		n |= 56

		// Up to four literals whose codes need no subtable, 44 bits in all. They
		// are written out, not a loop: each has a branch of its own to predict.
		e := c.lit[bits&(1<<litBits-1)]
		if e&literal != 0 {
			out[pos&mask] = byte(e >> inBase & 0xff)
			pos++
			bits >>= e & takes
			n -= uint(e)
			e = c.lit[bits&(1<<litBits-1)]
			if e&literal != 0 {
				out[pos&mask] = byte(e >> inBase & 0xff)
				pos++
				bits >>= e & takes
				n -= uint(e)
				e = c.lit[bits&(1<<litBits-1)]
				if e&literal != 0 {
					out[pos&mask] = byte(e >> inBase & 0xff)
					pos++
					bits >>= e & takes
					n -= uint(e)
					e = c.lit[bits&(1<<litBits-1)]
					if e&literal != 0 {
						out[pos&mask] = byte(e >> inBase & 0xff)
						pos++
						bits >>= e & takes
						n -= uint(e)
						continue
					}
				}
			}
			bits |= binary.LittleEndian.Uint64(in[i:i+8:i+8]) << (n & 63)
			i += 7 - int(n>>3&7)
			n |= 56
		}
		if e&special != 0 {
			if e&kinds == subtable {
				bits >>= litBits
				n -= litBits
				e = c.lit[(uint64(e>>inBase)+bits&(1<<(e>>inCode&takes)-1))&(1<<(litBits+1)-1)]
				if e&literal != 0 {
					out[pos&mask] = byte(e >> inBase & 0xff)
					pos++
					bits >>= e & takes
					n -= uint(e)
					continue
				}
			}
			if e&kinds == endBlock {
				bits >>= e & takes
				n -= uint(e)
				ended = true
				break
			}
			if e&kinds == invalid {
				err = errInvalidLit
				break
			}
		}
		length := uint(e>>inBase) + uint(bits&(1<<(e&takes)-1)>>(e>>inCode&takes))
		bits >>= e & takes
		n -= uint(e)

		// At most 11 + 4 + 5 bits were taken of 56: there are 28 for a distance.
		e = c.dist[bits&(1<<distBits-1)]
		if e&special != 0 {
			if e&kinds == subtable {
				bits >>= distBits
				n -= distBits
				e = c.dist[(uint64(e>>inBase)+bits&(1<<(e>>inCode&takes)-1))&(1<<(distBits+2)-1)]
			}
			if e&kinds == invalid {
				err = errInvalidDist
				break
			}
		}
		dist := uint(e>>inBase) + uint(bits&(1<<(e&takes)-1)>>(e>>inCode&takes))
		bits >>= e & takes
		n -= uint(e)
		if dist > pos-low {
			err = tooFar(int(dist), int(pos-low))
			break
		}

		from, to := pos-dist, pos
		pos += length
		switch {
		case dist >= 8:
			store(out, to, load(out, from))
			store(out, to+8, load(out, from+8))
			for to+16 < pos {
				to += 16
				from += 16
				store(out, to, load(out, from))
				store(out, to+8, load(out, from+8))
			}
		default:
			repeat(out, from, to, pos)
		}
	}

	// Whole bytes that were not used go back.
	n &= 63
	i -= int(n >> 3)
	r.bits, r.n = bits&(1<<(n&7)-1), n&7
	r.pos = int(pos)
	if _, failed := r.in.Discard(i); err == nil {
		err = failed
	}
	if ended {
		r.endBlock()
	}
	return err
}

// steps are the largest multiples of distances below 8 that 8 bytes hold.
var steps = [8]uint8{8, 8, 8, 6, 8, 5, 6, 7}

// repeat writes to the bytes from to on, up to end and a few further, what lies
// from from on, fewer than 8 bytes before.
func repeat(out *Buffer, from, to, end uint) {
	d := (to - from) & 7
	v := load(out, from) & (1<<(8*d) - 1)
	for width := 8 * d; width < 64; width *= 2 {
		v |= v << (width & 63)
	}
	for step := uint(steps[d]); to < end; to += step {
		store(out, to, v)
	}
}
