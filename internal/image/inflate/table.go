package inflate

import "math/bits"

// An entry of a table says what the next bits of the input mean. Fields that are
// counts of shifted bits are six bits wide, as wide as the processor's own.
//
//	bits 0–5   how many bits it takes, extra bits included
//	bit  6     literal: bits 16–23 are it
//	bit  7     special: bits 14–15 say what
//
//	match      bits 8–13: bits of the code alone; bits 16–31: the length or
//	           distance to which the extra bits are added
//	subtable   bits 8–13: the bits that index it; bits 16–31: where it begins
type entry = uint32

const (
	takes   entry = 1<<6 - 1
	literal entry = 1 << 6
	special entry = 1 << 7

	subtable entry = special | 1<<14 // look on there
	endBlock entry = special | 2<<14 // the symbol 256
	invalid  entry = special | 3<<14 // no code, or a symbol that must not occur
	kinds    entry = special | 3<<14

	inCode = 8  // shift of a match's code length
	inBase = 16 // shift of a match's base
)

const (
	maxBits  = 15 // of any code
	litBits  = 11 // that index the first table of literals and lengths
	distBits = 8  // that index the first table of distances
	preBits  = 7  // of the codes for code lengths

	maxLit  = 286 // symbols that a block may define
	maxDist = 30
)

// codes are the tables of a block. Subtables follow the first table. Each of
// 1<<k entries, k at most 4 and 7, holds more than k symbols, so all have room.
type codes struct {
	lit  [1 << (litBits + 1)]entry
	dist [1 << (distBits + 2)]entry
}

// Symbols as entries to which the code's length is added when it is known (RFC
// 1951, section 3.2.5).
var (
	litSymbols  = makeLitSymbols()
	distSymbols = makeDistSymbols()
	preSymbols  = makePreSymbols()
)

func makeLitSymbols() (s [288]entry) {
	for i := range entry(256) {
		s[i] = literal | i<<inBase
	}
	s[256] = endBlock
	first := entry(3)
	for i := range entry(28) {
		extra := entry(0)
		if i >= 8 {
			extra = i/4 - 1
		}
		s[257+i] = first<<inBase | extra
		first += 1 << extra
	}
	s[285] = longest << inBase
	s[286], s[287] = invalid, invalid
	return s
}

func makeDistSymbols() (s [32]entry) {
	first := entry(1)
	for i := range entry(30) {
		extra := entry(0)
		if i >= 4 {
			extra = i/2 - 1
		}
		s[i] = first<<inBase | extra
		first += 1 << extra
	}
	s[30], s[31] = invalid, invalid
	return s
}

func makePreSymbols() (s [19]entry) {
	for i := range s {
		s[i] = entry(i) << inBase
	}
	return s
}

// lengths are the code lengths of a set of symbols, counted and sorted.
type lengths struct {
	count  [maxBits + 1]int
	sorted [288]uint16 // the symbols that have a code, by length, then by number
	used   int
	max    uint // bits of the longest code
}

// init counts and sorts lens, which are at most 15. It reports whether they are
// those of a prefix code that leaves no bits without a meaning. As in
// compress/flate, a code without symbols passes, and one of a single symbol of one
// bit; using what they lack is an error of the data.
func (l *lengths) init(lens []uint8) bool {
	*l = lengths{}
	for _, n := range lens {
		l.count[n&maxBits]++
	}
	l.count[0] = 0
	var next [maxBits + 1]int
	left := 1
	for n := uint(1); n <= maxBits; n++ {
		next[n] = l.used
		l.used += l.count[n]
		if left = left<<1 - l.count[n]; left < 0 {
			return false
		}
		if l.count[n] > 0 {
			l.max = n
		}
	}
	for symbol, n := range lens {
		if n != 0 {
			l.sorted[next[n&maxBits]] = uint16(symbol)
			next[n&maxBits]++
		}
	}
	return left == 0 || l.used == 0 || l.used == 1 && l.count[1] == 1
}

// fill writes the table of l, whose first part is indexed by so many bits.
func (l *lengths) fill(table []entry, primary uint, symbols []entry) {
	table[0] = invalid
	if l.used <= 1 { // the only codes that leave bits without a meaning
		table[1] = invalid | 1
		if l.used == 1 {
			table[0] = withCode(symbols[l.sorted[0]], 1)
		}
		spread(table, 1, primary)
		return
	}
	f := filler{table: table, primary: primary, end: 1 << primary}
	at := 0
	size := uint(0)
	for n := uint(1); n <= l.max; n++ {
		if n <= primary && l.count[n] > 0 {
			spread(table, size, n)
			size = n
		}
		for left := l.count[n]; left > 0; left-- {
			e := symbols[l.sorted[at]]
			if at++; n <= primary {
				table[f.code] = withCode(e, n)
			} else {
				if f.prefix() != f.open {
					spread(table, size, primary)
					size = primary
					f.begin(l, n, left)
				}
				f.put(withCode(e, n-primary), n)
			}
			f.advance(n)
		}
	}
	spread(table, size, primary)
}

// spread repeats the first 1<<from entries of table until there are 1<<to.
func spread(table []entry, from, to uint) {
	for ; from < to; from++ {
		copy(table[1<<from:2<<from], table[:1<<from])
	}
}

// withCode returns the symbol e, coded in n bits.
func withCode(e entry, n uint) entry {
	code := entry(n) //nolint:gosec // maxBits at most
	return e + code<<inCode + code
}

// filler walks over the codes in order, each with its first bit lowest, as
// Huffman codes lie in the input (RFC 1951, section 3.1.1).
type filler struct {
	table   []entry
	primary uint
	code    uint
	open    uint // the prefix, plus one, of the open subtable
	start   uint // of the open subtable
	width   uint // bits that index it
	end     uint // of all subtables
}

func (f *filler) prefix() uint { return f.code&(1<<f.primary-1) + 1 }

// advance goes to the next code of n bits.
func (f *filler) advance(n uint) {
	zeros := f.code ^ (1<<n - 1)
	if zeros == 0 {
		return // the last code of all
	}
	bit := uint(1) << (bits.Len(zeros) - 1)
	f.code = f.code&(bit-1) | bit
}

// begin opens the subtable of the current prefix, whose first code has n bits;
// left codes of that length are still to come. The subtable is as wide as its
// longest code needs.
func (f *filler) begin(l *lengths, n uint, left int) {
	f.width = n - f.primary
	for room := left; room < 1<<f.width && f.primary+f.width < l.max; {
		f.width++
		room = room<<1 + l.count[f.primary+f.width]
	}
	f.open, f.start = f.prefix(), f.end
	f.end += 1 << f.width
	f.table[f.open-1] = subtable | entry(f.primary|f.width<<inCode|f.start<<inBase) //nolint:gosec // a place in the table, and less
}

// put writes e for the current code of n bits into the open subtable.
func (f *filler) put(e entry, n uint) {
	for i := f.code >> f.primary; i < 1<<f.width; i += 1 << (n - f.primary) {
		f.table[f.start+i] = e
	}
}
