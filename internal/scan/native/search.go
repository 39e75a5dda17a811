package native

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
)

const (
	gramSize   = 4  // bytes of a literal that are looked up at once
	filterBits = 18 // 32 KiB, which stay in a processor's first cache
	slotBits   = 14 // heads of the lists behind the filter
	minLiteral = gramSize
	maxLiteral = 256 // bytes
	windowSize = 256 << 10
)

// strides are the distances between two looks at a file. In every literal of
// stride+3 bytes or more, one of the grams that begin at the first stride places
// lies where is looked, so that longer literals cost less.
var strides = [...]int{12, 5, 3, 1}

// searcher finds many literals in one pass. It may be used concurrently.
type searcher struct {
	literals []string // sorted, each once
	classes  []*class
	longest  int
}

// class finds the literals of one stride.
type class struct {
	stride int
	filter [1 << filterBits / 64]uint64 // a bit for each hash of a gram
	heads  [1<<slotBits + 1]int32       // grams[heads[i]:heads[i+1]] have hashes beginning in i
	grams  []gram
}

// gram is four bytes of a literal and where they stand in it.
type gram struct {
	bytes   uint32
	literal int32
	offset  int32
}

func hash(bytes uint32) uint32 { return bytes * 0x9e3779b1 >> (32 - filterBits) }

// newSearcher returns a searcher of the literals, which must be sorted, distinct
// and of minLiteral to maxLiteral bytes.
func newSearcher(literals []string) *searcher {
	s := &searcher{literals: literals}
	frequent := commonGrams(literals)
	lists := make([][]gram, len(strides))
	for i, l := range literals {
		s.longest = max(s.longest, len(l))
		c := slices.IndexFunc(strides[:], func(stride int) bool { return len(l) >= stride+gramSize-1 })
		from := rarest(l, strides[c], frequent)
		for at := from; at < from+strides[c]; at++ {
			lists[c] = append(lists[c], gram{gramAt(l, at), int32(i), int32(at)}) //nolint:gosec // an index of a few thousand literals
		}
	}
	for i, grams := range lists {
		if len(grams) > 0 {
			s.classes = append(s.classes, newClass(strides[i], grams))
		}
	}
	return s
}

func gramAt(s string, at int) uint32 { return binary.LittleEndian.Uint32([]byte(s[at : at+gramSize])) }

// commonGrams counts in how many places of the literals each gram stands: what
// is common among them ("vers", " ver") is common in programs.
func commonGrams(literals []string) map[uint32]int {
	n := map[uint32]int{}
	for _, l := range literals {
		for at := range len(l) - gramSize + 1 {
			n[gramAt(l, at)]++
		}
	}
	return n
}

// rarest returns where in l the part begins whose grams are looked for.
func rarest(l string, stride int, frequent map[uint32]int) int {
	best, least := 0, -1
	for from := 0; from+stride+gramSize-1 <= len(l); from++ {
		cost := 0
		for at := from; at < from+stride; at++ {
			cost += frequent[gramAt(l, at)]
			if l[at] == l[at+1] && l[at] == l[at+2] && l[at] == l[at+3] {
				cost += 1000 // padding
			}
		}
		if least < 0 || cost < least {
			best, least = from, cost
		}
	}
	return best
}

func newClass(stride int, grams []gram) *class {
	c := &class{stride: stride, grams: grams}
	slices.SortFunc(grams, func(a, b gram) int { return int(hash(a.bytes)) - int(hash(b.bytes)) })
	for _, g := range grams {
		h := hash(g.bytes)
		c.filter[h>>6] |= 1 << (h & 63)
		c.heads[h>>(filterBits-slotBits)+1]++
	}
	for i := range c.heads[1:] {
		c.heads[i+1] += c.heads[i]
	}
	return c
}

// window is a part of a file that is in memory.
type window struct {
	bytes []byte
	base  int64 // where it begins in the file
}

var windows = sync.Pool{New: func() any { return new([windowSize]byte) }}

// search calls hit for every place of every literal in r. It reads r once, in
// windows, and ends with hit's first error.
func (s *searcher) search(r io.Reader, hit func(w window, literal, at int) error) error {
	memory, _ := windows.Get().(*[windowSize]byte)
	defer windows.Put(memory)
	kept := 0 // bytes of the window before, in which whole literals were found already
	for base := int64(0); ; {
		n, err := io.ReadFull(r, memory[kept:])
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("read: %w", err)
		}
		w := window{memory[:kept+n], base}
		for _, c := range s.classes {
			if err := c.search(s, w, kept, hit); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
		kept = s.longest
		copy(memory[:], w.bytes[len(w.bytes)-kept:])
		base += int64(len(w.bytes) - kept)
	}
}

// search looks through one window, but for what ends in its first known bytes.
func (c *class) search(s *searcher, w window, known int, hit func(w window, literal, at int) error) error {
	b, stride := w.bytes, c.stride
	for at := 0; at+gramSize <= len(b); at += stride {
		g := binary.LittleEndian.Uint32(b[at:])
		h := hash(g)
		if c.filter[h>>6]&(1<<(h&63)) == 0 {
			continue
		}
		slot := h >> (filterBits - slotBits)
		for _, e := range c.grams[c.heads[slot]:c.heads[slot+1]] {
			if e.bytes != g {
				continue
			}
			l, from := s.literals[e.literal], at-int(e.offset)
			if from < 0 || from+len(l) <= known || from+len(l) > len(b) || !bytes.Equal(b[from:from+len(l)], []byte(l)) {
				continue
			}
			if err := hit(w, int(e.literal), from); err != nil {
				return err
			}
		}
	}
	return nil
}
