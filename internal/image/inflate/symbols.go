package inflate

import (
	"errors"
	"io"
)

// ahead is how much input the fast loop wants: what one round may take.
const ahead = 16

// symbols decodes until the block ends or the buffer is full.
func (r *Reader) symbols() error {
	for r.state == inSymbols && r.pos < full {
		if _, err := r.in.Peek(ahead); err == nil {
			if err := r.fast(); err != nil {
				return err
			}
		} else if !errors.Is(err, io.EOF) {
			return err
		} else if err := r.slow(); err != nil {
			return err
		}
	}
	return nil
}

// slow decodes one symbol and reads not one byte more than that takes.
func (r *Reader) slow() error {
	e, err := r.lookUp(r.codes.lit[:], litBits)
	if err != nil {
		return err
	}
	if e&literal != 0 {
		r.out[r.pos] = byte(e >> inBase & 0xff)
		r.pos++
		r.drop(uint(e & takes))
		return nil
	}
	switch e & kinds {
	case endBlock:
		r.drop(uint(e & takes))
		r.endBlock()
		return nil
	case invalid:
		return errInvalidLit
	}
	length := r.value(e)
	e, err = r.lookUp(r.codes.dist[:], distBits)
	if err != nil {
		return err
	}
	if e&kinds == invalid {
		return errInvalidDist
	}
	dist := r.value(e)
	if dist > r.pos-r.low {
		return tooFar(dist, r.pos-r.low)
	}
	for range length {
		r.out[r.pos] = r.out[r.pos-dist]
		r.pos++
	}
	return nil
}

var (
	errInvalidLit  = errors.New("corrupt data: no such code for a literal or length")
	errInvalidDist = errors.New("corrupt data: no such code for a distance")
)

func tooFar(dist, have int) error {
	return corrupt("a match begins %d bytes back, there are %d", dist, have)
}

// lookUp returns the entry of the next symbol, for which all bits are there then.
// A lookup with zeros for bits that were not read finds the right entry or one
// that takes more bits than were.
func (r *Reader) lookUp(table []entry, primary uint) (entry, error) {
	for {
		e, n := table[r.bits&(1<<primary-1)], uint(0)
		if e&kinds == subtable && r.n >= primary {
			n = primary
			e = table[uint64(e>>inBase)+r.bits>>primary&(1<<(e>>inCode&takes)-1)]
		}
		if n += uint(e & takes); n <= r.n {
			r.drop(n - uint(e&takes))
			return e, nil
		}
		if err := r.need(r.n + 1); err != nil {
			return 0, err
		}
	}
}

// value takes the bits of e and returns its length or distance.
func (r *Reader) value(e entry) int {
	extra := r.bits & (1<<(e&takes) - 1) >> (e >> inCode & takes)
	r.drop(uint(e & takes))
	return int(e>>inBase) + int(extra) //nolint:gosec // 13 bits at most
}
