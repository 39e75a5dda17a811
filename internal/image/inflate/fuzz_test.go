package inflate_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"plimsoll/internal/image/inflate"
)

// seeds are DEFLATE data of all kinds, small enough to be changed usefully.
func seeds(f *testing.F) (all [][]byte) {
	f.Helper()
	plain := corpora(f)
	for _, name := range []string{"program", "text", "periodic", "zeros", "random"} {
		for _, level := range []int{gzip.HuffmanOnly, 1, 9} {
			packed := pack(f, plain[name][:2000], level)
			all = append(all, packed[10:len(packed)-8])
			packed = packFast(f, plain[name][:600], level)
			all = append(all, packed[10:len(packed)-8])
		}
	}
	for seed := range uint64(8) {
		var w bitWriter
		r := rand.New(rand.NewPCG(seed, 9))
		randomBlock(r, &w, 1, randomBlock(r, &w, 0, nil))
		all = append(all, bytes.Clone(w.flush()))
	}
	return all
}

// FuzzDeflate compares with compress/flate, which has the last word on what is
// taken and what is not.
func FuzzDeflate(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 1<<16 {
			compare(t, data)
		}
	})
}

// FuzzGzip compares with compress/gzip, and short reads with whole ones.
func FuzzGzip(f *testing.F) {
	for i, s := range seeds(f) {
		m := member(s, nil)
		if i%2 == 0 {
			m = append(m, pack(f, []byte("behind"), 6)...)
		}
		f.Add(m)
	}
	f.Add(pack(f, []byte("alone"), 6))
	f.Fuzz(func(t *testing.T, packed []byte) {
		if len(packed) > 1<<16 {
			return
		}
		var want []byte
		z, failed := gzip.NewReader(bytes.NewReader(packed))
		if failed == nil {
			want, failed = io.ReadAll(z)
		}
		got, err := unpack(bytes.NewReader(packed))
		switch {
		case err == nil && failed != nil:
			t.Errorf("compress/gzip has %v", failed)
		case err == nil && !bytes.Equal(got, want):
			t.Error("compress/gzip reads something else")
		case err != nil && failed == nil && !reserved(packed):
			t.Errorf("compress/gzip has no error, but %v", err)
		}
		slow, slowErr := unpack(iotest.OneByteReader(bytes.NewReader(packed)))
		if (slowErr == nil) != (err == nil) || err == nil && !bytes.Equal(slow, got) {
			t.Errorf("byte by byte: error %v, otherwise %v", slowErr, err)
		}
	})
}

// reserved reports whether packed may have a member with reserved flags, which
// RFC 1952 wants refused and compress/gzip passes over.
func reserved(packed []byte) bool {
	for i := bytes.Index(packed, []byte{31, 139, 8}); i >= 0 && i+3 < len(packed); {
		if packed[i+3]&0xe0 != 0 {
			return true
		}
		next := bytes.Index(packed[i+1:], []byte{31, 139, 8})
		if next < 0 {
			return false
		}
		i += 1 + next
	}
	return false
}

// FuzzStreams writes streams from random codes and reads them in random pieces.
func FuzzStreams(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, a, b uint64) {
		r := rand.New(rand.NewPCG(a, b))
		var w bitWriter
		var want []byte
		for range r.IntN(5) {
			want = randomBlock(r, &w, 0, want)
		}
		want = randomBlock(r, &w, 1, want)
		z, err := inflate.NewReader(iotest.HalfReader(bytes.NewReader(member(w.flush(), want))))
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		for err == nil {
			p := make([]byte, 1+r.IntN(10_000))
			var n int
			n, err = z.Read(p)
			got = append(got, p[:n]...)
		}
		if err != io.EOF || !bytes.Equal(got, want) { //nolint:errorlint // EOF is never wrapped
			t.Errorf("%d of %d bytes, error %v", len(got), len(want), err)
		}
	})
}
