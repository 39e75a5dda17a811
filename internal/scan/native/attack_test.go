package native

import (
	"bytes"
	"testing"
)

// TestSmallFilesCauseLittleWork: a layer may hold very many small files that have
// every anchor, each of which must not cost what a large one may.
func TestSmallFilesCauseLittleWork(t *testing.T) {
	s, err := builtin()
	if err != nil {
		t.Fatal(err)
	}
	b := []byte("\x7fELF\x02\x01\x01")
	for i := range s.rules {
		for _, p := range s.rules[i].patterns {
			if p.Bare != "" {
				b = append(append(b, p.Anchor...), 0)
			}
		}
	}
	b = append(b, bytes.Repeat([]byte("1.x\x00"), 8<<10)...)
	f, err := s.look(t.Context(), bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if most := int64(2*minReaching + reachTimes*len(b)); f.limit == nil || f.reaching > most {
		t.Errorf("%d bytes were looked through for versions in %d (%v), want at most %d and a word about it", f.reaching, len(b), f.limit, most)
	}
}

// TestSymbolsAreAskedForOnce: and code is taken to be there after too many.
func TestSymbolsAreAskedForOnce(t *testing.T) {
	n := 0
	known, look := map[string]bool{}, func(string) bool { n++; return false }
	for i := range maxAsked + 1 {
		name := string(rune('a' + i))
		if first := ask(known, name, true, look); first != (i == maxAsked) || ask(known, name, true, look) != first {
			t.Errorf("answer %d is %v", i, first)
		}
	}
	if n != maxAsked {
		t.Errorf("it was asked %d times, want %d", n, maxAsked)
	}
}
