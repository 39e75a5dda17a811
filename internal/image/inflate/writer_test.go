package inflate_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
)

// bitWriter writes DEFLATE data by hand.
type bitWriter struct {
	bytes.Buffer
	word uint64
	n    uint
}

// put writes the lowest k bits of v, the lowest first.
func (w *bitWriter) put(v, k int) {
	w.word |= uint64(v) << w.n
	for w.n += uint(k); w.n >= 8; w.n -= 8 {
		w.WriteByte(byte(w.word))
		w.word >>= 8
	}
}

// flush fills the last byte.
func (w *bitWriter) flush() []byte {
	if w.n > 0 {
		w.put(0, int(8-w.n))
	}
	return w.Bytes()
}

// codeOf returns the canonical codes of lens, written by symbol (RFC 1951,
// section 3.2.2).
func codeOf(lens []int) func(w *bitWriter, symbol int) {
	codes := make([]int, len(lens))
	code := 0
	for n := 1; n <= 15; n++ {
		code <<= 1
		for s, l := range lens {
			if l == n {
				codes[s] = code
				code++
			}
		}
	}
	return func(w *bitWriter, s int) {
		for i := lens[s] - 1; i >= 0; i-- {
			w.put(codes[s]>>i&1, 1)
		}
	}
}

// member packs DEFLATE data of plain as a gzip member.
func member(deflated, plain []byte) []byte {
	b := append([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}, deflated...)
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(plain))
	return binary.LittleEndian.AppendUint32(b, uint32(len(plain)))
}

// randomCode gives n of the symbols codes that together use all bits; the ones
// named must be among them.
func randomCode(r *rand.Rand, symbols, n int, must ...int) []int {
	leaves := []int{0}
	for len(leaves) < n {
		i := r.IntN(len(leaves))
		if r.IntN(3) > 0 { // lopsided trees have long codes
			i = len(leaves) - 1
		}
		if leaves[i] == 15 {
			continue
		}
		leaves[i]++
		leaves = append(leaves, leaves[i])
	}
	if n == 1 {
		leaves[0] = 1
	}
	r.Shuffle(n, func(i, j int) { leaves[i], leaves[j] = leaves[j], leaves[i] })
	lens := make([]int, symbols)
	for i, s := range append(must, r.Perm(symbols)...) {
		if len(leaves) > 0 && (i < len(must) || lens[s] == 0) {
			lens[s], leaves = leaves[0], leaves[1:]
		}
	}
	return lens
}

// dynamic writes the header of a block that brings its own codes.
func (w *bitWriter) dynamic(last int, lits, dists []int) {
	w.put(last|2<<1, 3)
	w.put(len(lits)-257, 5)
	w.put(len(dists)-1, 5)
	w.put(15, 4)
	for range 3 { // 16, 17, 18: not used
		w.put(0, 3)
	}
	for range 16 {
		w.put(4, 3)
	}
	write := codeOf([]int{4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4})
	for _, n := range append(append([]int(nil), lits...), dists...) {
		write(w, n)
	}
}

// extras are the first value of each length or distance symbol and its extra bits.
type extras []struct{ base, bits int }

func newExtras(base, plain, group, n int) (e extras) {
	for i := range n {
		bits := 0
		if i >= plain {
			bits = i/group - 1
		}
		e = append(e, struct{ base, bits int }{base, bits})
		base += 1 << bits
	}
	return e
}

var (
	lengthExtras = append(newExtras(3, 8, 4, 28), struct{ base, bits int }{258, 0})
	distExtras   = newExtras(1, 4, 2, 30)
)

// value writes the code of a random symbol of lens with random extra bits whose
// value is at most most, and returns the value; 0 if there is none.
func (e extras) value(r *rand.Rand, w *bitWriter, lens []int, first, most int) int {
	var fit []int
	for s := first; s < len(lens); s++ {
		if lens[s] > 0 && e[s-first].base <= most {
			fit = append(fit, s)
		}
	}
	if len(fit) == 0 {
		return 0
	}
	s := fit[r.IntN(len(fit))]
	x := e[s-first]
	extra := r.IntN(min(1<<x.bits, most-x.base+1))
	codeOf(lens)(w, s)
	w.put(extra, x.bits)
	return x.base + extra
}

// randomBlock writes a block of random codes and symbols, of which some may
// refer to what plain holds, and returns plain with what the block means.
func randomBlock(r *rand.Rand, w *bitWriter, last int, plain []byte) []byte {
	lits := randomCode(r, 257+r.IntN(30), 2+r.IntN(250), 256)
	dists := randomCode(r, 1+r.IntN(30), 1)
	if n := len(dists); n > 1 {
		dists = randomCode(r, n, 1+r.IntN(n))
	}
	w.dynamic(last, lits, dists)
	var literals []int
	for s, n := range lits[:256] {
		if n > 0 {
			literals = append(literals, s)
		}
	}
	write := codeOf(lits)
	for range r.IntN(2000) {
		if len(literals) > 0 && r.IntN(3) > 0 {
			s := literals[r.IntN(len(literals))]
			write(w, s)
			plain = append(plain, byte(s))
			continue
		}
		if len(plain) == 0 || nearest(dists) > len(plain) {
			continue
		}
		length := lengthExtras.value(r, w, lits, 257, 258)
		if length == 0 {
			continue
		}
		dist := distExtras.value(r, w, dists, 0, min(len(plain), 32<<10))
		for range length {
			plain = append(plain, plain[len(plain)-dist])
		}
	}
	write(w, 256)
	return plain
}

// nearest is the least distance that the codes can express.
func nearest(dists []int) int {
	for s, n := range dists {
		if n > 0 {
			return distExtras[s].base
		}
	}
	return 1 << 30
}
