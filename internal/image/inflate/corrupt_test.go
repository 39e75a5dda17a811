package inflate_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"plimsoll/internal/image/inflate"
)

// compare inflates data, of which compress/flate may leave a rest, in both ways:
// both must refuse it, or both give the same.
func compare(t testing.TB, data []byte) (want []byte, refused bool) {
	t.Helper()
	in := bytes.NewReader(data)
	want, failed := io.ReadAll(flate.NewReader(in))
	got, err := unpack(bytes.NewReader(member(data[:len(data)-in.Len()], want)))
	switch {
	case (err != nil) != (failed != nil):
		t.Errorf("%x: error %v, compress/flate has %v", data, err, failed)
	case err == nil && !bytes.Equal(got, want):
		t.Errorf("%x: %d bytes that differ from the %d of compress/flate", data, len(got), len(want))
	case !bytes.HasPrefix(got, want) && !bytes.HasPrefix(want, got):
		t.Errorf("%x: the beginning differs from that of compress/flate", data)
	}
	return want, failed != nil
}

// TestAllShortData compares with compress/flate what all data of two bytes mean,
// with zeros or ones behind them.
func TestAllShortData(t *testing.T) {
	accepted := 0
	for v := range 1 << 16 {
		for _, rest := range []byte{0, 0xff} {
			data := append([]byte{byte(v), byte(v >> 8)}, bytes.Repeat([]byte{rest}, 12)...)
			if _, refused := compare(t, data); !refused {
				accepted++
			}
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	if accepted == 0 {
		t.Error("nothing was accepted")
	}
}

// TestSmallCodes compares what blocks mean whose codes have all combinations of
// lengths up to 3 for three literals and the end, and for three distances.
func TestSmallCodes(t *testing.T) {
	accepted, refused := 0, 0
	for v := range 1 << 14 {
		lits, dists := make([]int, 259), make([]int, 3)
		for i, s := range []int{'a', 'b', 256, 257} {
			lits[s] = v >> (2 * i) & 3
		}
		for i := range dists {
			dists[i] = v >> (8 + 2*i) & 3
		}
		for _, body := range []int{0x13579bdf, 0x0f1e2d3c} {
			var w bitWriter
			w.dynamic(1, lits, dists)
			w.put(body, 32)
			w.put(0xffff, 16)
			w.put(0, 16)
			if _, no := compare(t, w.flush()); no {
				refused++
			} else {
				accepted++
			}
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	if accepted < 100 || refused < 100 {
		t.Errorf("%d accepted, %d refused: the test sees one side only", accepted, refused)
	}
}

// TestCorrupt has one case for each thing that can be wrong.
func TestCorrupt(t *testing.T) {
	const end = 256
	header := func(lits, dists []int) func(w *bitWriter) {
		return func(w *bitWriter) { w.dynamic(1, lits, dists) }
	}
	with := func(n int, lens map[int]int) []int {
		s := make([]int, n)
		for symbol, l := range lens {
			s[symbol] = l
		}
		return s
	}
	tests := []struct {
		name  string
		write func(w *bitWriter)
		want  string
	}{
		{"reserved type", func(w *bitWriter) { w.put(1|3<<1, 3) }, "block of the reserved type"},
		{"stored length", func(w *bitWriter) { w.put(1, 8); w.put(5, 16); w.put(5, 16) }, "length of stored bytes 0x0005 with the complement 0x0005"},
		{"287 lengths", header(with(287, map[int]int{end: 1}), with(1, nil)), "codes for 287 literals"},
		{"31 distances", header(with(257, map[int]int{end: 1}), with(31, nil)), "and 31 distances"},
		{"no code for lengths", func(w *bitWriter) { w.put(1|2<<1, 17); w.put(0, 12) }, "the codes for code lengths are no code"},
		{"too many codes for lengths", func(w *bitWriter) { w.put(1|2<<1, 17); w.put(0o1111, 12) }, "the codes for code lengths are no code"},
		{"first length repeats", func(w *bitWriter) { w.put(1|2<<1, 17); w.put(0o0001, 12); w.put(0, 20) }, "the first code length repeats one before it"},
		{"unused code for lengths", func(w *bitWriter) { w.put(1|2<<1, 17); w.put(0o0001, 12); w.put(1, 20) }, "no such code for a code length"},
		{"repeat over the end", func(w *bitWriter) { w.put(1|2<<1, 17); w.put(0o0100, 12); w.put(0xffffff, 24); w.put(0, 24) }, "no such code for a code length"},
		{"more lengths than symbols", func(w *bitWriter) { w.put(1|2<<1, 17); w.put(0o1100, 12); w.put(0xffffff, 24) }, "more code lengths than symbols"},
		{"no end", header(with(257, map[int]int{'a': 1, 'b': 1}), with(1, nil)), "no code for the end of the block"},
		{"too many literals", header(with(257, map[int]int{'a': 1, 'b': 1, end: 1}), with(1, nil)), "the codes for literals and lengths are no code"},
		{"too few literals", header(with(257, map[int]int{'a': 2, 'b': 2, end: 2}), with(1, nil)), "the codes for literals and lengths are no code"},
		{"too many distances", header(with(257, map[int]int{end: 1}), with(3, map[int]int{0: 1, 1: 1, 2: 1})), "the codes for distances are no code"},
		{"too few distances", header(with(257, map[int]int{end: 1}), with(3, map[int]int{0: 2, 1: 2, 2: 2})), "the codes for distances are no code"},
		{"one distance of two bits", header(with(257, map[int]int{end: 1}), with(1, map[int]int{0: 2})), "the codes for distances are no code"},
		{"unused literal code", func(w *bitWriter) { w.dynamic(1, with(257, map[int]int{end: 1}), with(1, nil)); w.put(1, 1) }, "no such code for a literal or length"},
		{"length 286", func(w *bitWriter) { w.put(1|1<<1, 3); w.put(0b01100011, 8) }, "no such code for a literal or length"},
		{"distance 30", func(w *bitWriter) { w.put(1|1<<1, 3); fixed(w, 'a'); w.put(0b1000000, 7); w.put(0b01111, 5) }, "no such code for a distance"},
		{"distance without codes", func(w *bitWriter) {
			w.dynamic(1, with(258, map[int]int{'a': 1, end: 2, 257: 2}), with(1, nil))
			w.put(0b110, 3)
		}, "no such code for a distance"},
		{"too far", func(w *bitWriter) { w.put(1|1<<1, 3); fixed(w, 'a'); w.put(0b1000000, 7); w.put(0b10000, 5) }, "a match begins 2 bytes back, there are 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, before := range []int{0, 3000} { // both loops are asked
				var w bitWriter
				if before > 0 {
					w.put(0, 8)
					w.put(before, 16)
					w.put(^before&0xffff, 16)
					w.Write(bytes.Repeat([]byte{'-'}, before))
				}
				tt.write(&w)
				data := w.flush()
				for _, tail := range []int{0, 100} {
					whole := append(bytes.Clone(data), make([]byte, tail)...)
					if before > 0 && tt.name == "too far" {
						continue
					}
					if _, refused := compare(t, whole); !refused {
						t.Fatal("compress/flate takes it")
					}
					_, err := unpack(bytes.NewReader(member(whole, nil)))
					if err == nil || !strings.Contains(err.Error(), tt.want) {
						t.Errorf("with %d bytes before and %d behind: error %v, want %q", before, tail, err, tt.want)
					}
				}
			}
		})
	}
}

// TestHeaders reads and refuses members' headers.
func TestHeaders(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Name, w.Comment, w.Extra = "näme", "comment", []byte("extra field")
	fmt.Fprint(w, "text")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	all := b.Bytes()
	plain := pack(t, []byte("text"), 6)
	flagged := func(flags byte, fields string) []byte {
		h := bytes.Clone(plain)
		h[3] = flags
		return append(h[:10:10], fields+string(plain[10:])...)
	}
	tests := []struct {
		name   string
		packed []byte
		want   string // error, none if empty
	}{
		{"all fields", all, ""},
		{"text flag", flagged(1, ""), ""},
		{"header checksum", flagged(2, headerSum(append([]byte{31, 139, 8, 2}, plain[4:10]...))), ""},
		{"wrong header checksum", flagged(2, "\x00\x00"), "checksum of a gzip member's header"},
		{"longest name", flagged(8, strings.Repeat("n", 511)+"\x00"), ""},
		{"too long name", flagged(8, strings.Repeat("n", 512)+"\x00"), "name or comment is too long"},
		{"too long comment", flagged(16, strings.Repeat("n", 512)+"\x00"), "name or comment is too long"},
		{"cut name", flagged(8, "name")[:12], io.ErrUnexpectedEOF.Error()},
		{"cut extra field", flagged(4, "\xff\xff"), io.ErrUnexpectedEOF.Error()},
		{"reserved flag", flagged(0x20, ""), "reserved flags 0x20"},
		{"another method", append([]byte{31, 139, 7}, plain[3:]...), "compression method 7"},
		{"no gzip", []byte("PK\x03\x04 some other archive"), `no gzip member begins with "PK"`},
		{"empty", nil, io.ErrUnexpectedEOF.Error()},
		{"zeros behind", append(bytes.Clone(plain), make([]byte, 512)...), `no gzip member begins with "\x00\x00"`},
		{"a byte behind", append(bytes.Clone(plain), 0), io.ErrUnexpectedEOF.Error()},
		{"wrong checksum", append(bytes.Clone(plain[:len(plain)-8]), 0, 0, 0, 0, 4, 0, 0, 0), "the checksum is 3b8ba7c7, not 00000000"},
		{"wrong size", append(bytes.Clone(plain[:len(plain)-4]), 5, 0, 0, 0), "the size is 4, not 5"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := unpack(bytes.NewReader(tt.packed))
			switch {
			case tt.want == "" && (err != nil || string(got) != "text"):
				t.Errorf("read %q, error %v", got, err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func headerSum(header []byte) string {
	sum := crc32.ChecksumIEEE(header)
	return string([]byte{byte(sum), byte(sum >> 8)})
}

// TestEndStays reads on behind the end.
func TestEndStays(t *testing.T) {
	z, err := inflate.NewReader(bytes.NewReader(pack(t, nil, 6)))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if n, err := z.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("%d bytes, error %v, want none and the end", n, err)
		}
	}
}
