package native

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
)

const (
	gramSize   = 4 // bytes of a literal that are looked up at once
	minLiteral = 6 // bytes
	maxLiteral = 256
	maxStride  = 12
	filterBits = 17 // 16 KiB, which stay in a processor's first cache
	slotBits   = 12 // heads of the lists behind the filter
	windowSize = 256 << 10
)

// searcher finds many literals in one pass. It may be used concurrently.
//
// It looks at four bytes (a gram) in every stride bytes of a file. The stride is
// so short that of every literal one of its first stride grams is looked at,
// wherever it stands; a filter of one bit for each hash tells most others apart.
// The longer the shortest literal, the faster the search.
type searcher struct {
	literals []string // sorted, each once
	longest  int
	stride   int
	filter   [1 << filterBits / 64]uint64
	heads    [1<<slotBits + 1]int32 // grams[heads[i]:heads[i+1]] have hashes that begin in i
	grams    []gram
}

// gram is four bytes of a literal and where they stand in it.
type gram struct {
	bytes   uint32
	literal int32
	offset  int32
}

func hash(gram uint32) uint32 { return gram * 0x9e3779b1 >> (32 - filterBits) }

// newSearcher returns a searcher of the literals, which must be sorted, distinct
// and of minLiteral to maxLiteral bytes.
func newSearcher(literals []string) *searcher {
	s := &searcher{literals: literals, stride: maxStride}
	for _, l := range literals {
		s.longest = max(s.longest, len(l))
		s.stride = min(s.stride, len(l)-gramSize+1)
	}
	frequent := commonGrams(literals)
	for i, l := range literals {
		from := rarest(l, s.stride, frequent)
		for at := from; at < from+s.stride; at++ {
			s.grams = append(s.grams, gram{gramAt(l, at), int32(i), int32(at)}) //nolint:gosec // some thousand literals of some bytes
		}
	}
	slices.SortFunc(s.grams, func(a, b gram) int { return cmp.Compare(hash(a.bytes), hash(b.bytes)) })
	for _, g := range s.grams {
		h := hash(g.bytes)
		s.filter[h>>6] |= 1 << (h & 63)
		s.heads[h>>(filterBits-slotBits)+1]++
	}
	for i := range s.heads[1:] {
		s.heads[i+1] += s.heads[i]
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

// window is a part of a file that is in memory.
type window struct {
	bytes []byte
	base  int64 // where it begins in the file
}

var windows = sync.Pool{New: func() any { return new([windowSize]byte) }}

// hitFunc is called for a place of a literal in a window.
type hitFunc = func(w window, literal, at int) error

// search calls hit for every place of every literal in r. It reads r once, in
// windows, and ends with hit's first error.
func (s *searcher) search(ctx context.Context, r io.Reader, hit hitFunc) error {
	memory, _ := windows.Get().(*[windowSize]byte)
	defer windows.Put(memory)
	kept := 0 // bytes of the window before, in which whole literals were found already
	for base := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(r, memory[kept:])
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("read: %w", err)
		}
		if err := s.window(window{memory[:kept+n], base}, kept, hit); err != nil {
			return err
		}
		if err != nil {
			return nil
		}
		kept = s.longest
		copy(memory[:], memory[windowSize-kept:])
		base += int64(windowSize - kept)
	}
}

// window looks through one window, but for what ends in its first known bytes.
func (s *searcher) window(w window, known int, hit hitFunc) error {
	b, filter, stride := w.bytes, &s.filter, s.stride
	for at := 0; at+gramSize <= len(b); at += stride {
		g := binary.LittleEndian.Uint32(b[at:])
		h := hash(g)
		if filter[h>>6]>>(h&63)&1 == 0 {
			continue
		}
		slot := h >> (filterBits - slotBits)
		for _, e := range s.grams[s.heads[slot]:s.heads[slot+1]] {
			if e.bytes != g {
				continue
			}
			l, from := s.literals[e.literal], at-int(e.offset)
			if from < 0 || from+len(l) <= known || from+len(l) > len(b) || string(b[from:from+len(l)]) != l {
				continue
			}
			if err := hit(w, int(e.literal), from); err != nil {
				return err
			}
		}
	}
	return nil
}
