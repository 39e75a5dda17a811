package native

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// naive returns what the searcher must find.
func naive(literals []string, content []byte) (out []string) {
	for _, l := range literals {
		for at := 0; ; at++ {
			i := bytes.Index(content[at:], []byte(l))
			if i < 0 {
				break
			}
			at += i
			out = append(out, fmt.Sprint(l, "@", at))
		}
	}
	slices.Sort(out)
	return out
}

func found(t *testing.T, s *searcher, content []byte) (out []string) {
	t.Helper()
	err := s.search(t.Context(), bytes.NewReader(content), func(w window, literal, at int) error {
		out = append(out, fmt.Sprint(s.literals[literal], "@", w.base+int64(at)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// TestSearchFindsWhatIndexFinds: at every alignment, over the seams of windows,
// overlapping itself, in the first and the last byte.
func TestSearchFindsWhatIndexFinds(t *testing.T) {
	literals := []string{"OpenSSL ", "abcdea", "expat_", "\x00curl/", "deflate 1.", " libpng version ", "a literal that is long enough for the widest stride", strings.Repeat("ab", 100)}
	slices.Sort(literals)
	s := newSearcher(literals)
	random := rand.New(rand.NewPCG(1, 2))
	content := make([]byte, 3*windowSize+17)
	for i := range content {
		content[i] = "abcde "[random.IntN(6)]
	}
	for i, l := range literals {
		for k := range 40 {
			copy(content[random.IntN(len(content)):], l)
			copy(content[windowSize-len(l)+k+i*300:], l)
		}
		copy(content[2*windowSize-s.longest-len(l)/2+i*20:], l)
	}
	copy(content, "OpenSSL ")
	copy(content[len(content)-6:], "expat_")
	want := naive(literals, content)
	if got := found(t, s, content); !slices.Equal(got, want) {
		t.Errorf("found %d, want %d", len(got), len(want))
	}
	for n := range 40 {
		if got, want := found(t, s, content[:n]), naive(literals, content[:n]); !slices.Equal(got, want) {
			t.Errorf("in %d bytes: %q, want %q", n, got, want)
		}
	}
}

func FuzzSearch(f *testing.F) {
	f.Add("OpenSSL \x00expat_\x00", []byte("xxOpenSSL 3.0.1 expat_2"))
	f.Add("aaaaaaa\x00aaaaaa\x00aaaaaaaaaaaaaaaaaaa", []byte(strings.Repeat("a", 100)))
	f.Fuzz(func(t *testing.T, list string, content []byte) {
		literals := slices.DeleteFunc(strings.Split(list, "\x00"), func(l string) bool { return len(l) < minLiteral || len(l) > maxLiteral })
		slices.Sort(literals)
		literals = slices.Compact(literals)
		if got, want := found(t, newSearcher(literals), content), naive(literals, content); !slices.Equal(got, want) {
			t.Errorf("found %q, want %q", got, want)
		}
	})
}

func BenchmarkSearch(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{6, 8, 15} {
		b.Run(fmt.Sprintf("of%d", size), func(b *testing.B) {
			var literals []string
			for range 1000 {
				l := make([]byte, size)
				for i := range l {
					l[i] = byte('a' + random.IntN(26))
				}
				literals = append(literals, string(l))
			}
			slices.Sort(literals)
			s := newSearcher(slices.Compact(literals))
			content := make([]byte, 16<<20)
			for i := range content {
				content[i] = byte(random.Uint32())
			}
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				if err := s.search(b.Context(), bytes.NewReader(content), func(window, int, int) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
