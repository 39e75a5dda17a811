package inflate_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	kgzip "github.com/klauspost/compress/gzip"

	"plimsoll/internal/image/inflate"
)

// pack compresses plain as Go's library does.
func pack(t testing.TB, plain []byte, level int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// packFast compresses plain with another encoder, which makes other blocks.
func packFast(t testing.TB, plain []byte, level int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := kgzip.NewWriterLevel(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// buffers are lent to unpack; what an earlier test left in them must not matter.
var buffers [4]inflate.Buffer

// unpack reads all that in holds, through Next and four buffers in turn.
func unpack(in io.Reader) ([]byte, error) {
	r, err := inflate.NewReader(in)
	if err != nil {
		return nil, err
	}
	var plain []byte
	for i := 0; ; i++ {
		p, err := r.Next(&buffers[i%len(buffers)])
		plain = append(plain, p...)
		switch {
		case len(p) > inflate.Size:
			return plain, fmt.Errorf("a piece of %d bytes", len(p))
		case errors.Is(err, io.EOF):
			return plain, nil
		case err != nil:
			return plain, err
		}
	}
}

// corpora are data of the kinds that layers hold.
func corpora(t testing.TB) map[string][]byte {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	random := make([]byte, 1<<20)
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	var text, periodic bytes.Buffer
	for text.Len() < 1<<20 {
		text.WriteString([]string{"package ", "layer ", "the ", "a ", "digest ", "of ", "is ", "\n", "return err\n\t"}[r.IntN(9)])
	}
	for n := 1; periodic.Len() < 1<<20; n++ { // matches of every small distance
		unit := random[n : n+1+n%40]
		periodic.Write(bytes.Repeat(unit, 1+r.IntN(300)))
	}
	return map[string][]byte{
		"program": program[:min(len(program), 2<<20)], "text": text.Bytes(), "random": random,
		"zeros": make([]byte, 1<<20), "periodic": periodic.Bytes(), "empty": {}, "one": {1},
		"halves": append(append([]byte(nil), random[:40<<10]...), random[:40<<10]...),
	}
}

// TestCorpora reads what two encoders wrote at all their levels.
func TestCorpora(t *testing.T) {
	for name, plain := range corpora(t) {
		for level := gzip.HuffmanOnly; level <= gzip.BestCompression; level++ {
			for encoder, packed := range map[string][]byte{"std": pack(t, plain, level), "klauspost": packFast(t, plain, level)} {
				got, err := unpack(bytes.NewReader(packed))
				if err != nil || !bytes.Equal(got, plain) {
					t.Errorf("%s, %s, level %d: %d of %d bytes, error %v", name, encoder, level, len(got), len(plain), err)
				}
			}
		}
	}
}

// TestRandomStreams reads blocks of all kinds that no encoder would write, with
// codes of up to 15 bits for lengths and distances.
func TestRandomStreams(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		var w bitWriter
		var plain []byte
		for blocks := 1 + r.IntN(12); blocks > 0; blocks-- {
			last := 0
			if blocks == 1 {
				last = 1
			}
			if r.IntN(6) > 0 {
				plain = randomBlock(r, &w, last, plain)
				continue
			}
			size := r.IntN(1 << 16)
			w.put(last, 3)
			w.flush()
			w.put(size, 16)
			w.put(^size&0xffff, 16)
			for range size {
				b := byte(r.Uint32())
				plain = append(plain, b)
				w.put(int(b), 8)
			}
		}
		deflated := w.flush()
		if want, err := io.ReadAll(flate.NewReader(bytes.NewReader(deflated))); err != nil || !bytes.Equal(want, plain) {
			t.Fatalf("seed %d: the test is wrong: %v", seed, err)
		}
		packed := member(deflated, plain)
		for _, in := range []io.Reader{
			bytes.NewReader(packed), iotest.OneByteReader(bytes.NewReader(packed)),
			iotest.DataErrReader(iotest.HalfReader(bytes.NewReader(packed))), bufio.NewReaderSize(bytes.NewReader(packed), 16+r.IntN(100)),
		} {
			if got, err := unpack(in); err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("seed %d: %d of %d bytes, error %v", seed, len(got), len(plain), err)
			}
		}
	}
}

// TestRead reads in pieces of random size.
func TestRead(t *testing.T) {
	plain := corpora(t)["periodic"]
	r := rand.New(rand.NewPCG(3, 4))
	z, err := inflate.NewReader(bytes.NewReader(pack(t, plain, 6)))
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	for {
		p := make([]byte, r.IntN(70_000))
		n, err := z.Read(p)
		got = append(got, p[:n]...)
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, plain) {
		t.Errorf("%d of %d bytes", len(got), len(plain))
	}
}

// TestMembers reads members one behind the other, as pgzip, eStargz and cat
// write them, and leaves alone what follows.
func TestMembers(t *testing.T) {
	text := strings.Repeat("a member ", 50_000)
	var packed bytes.Buffer
	var want strings.Builder
	for n := range 300 {
		part := text[:n*n%len(text)]
		want.WriteString(part)
		packed.Write(pack(t, []byte(part), 1+n%9))
	}
	in := bufio.NewReaderSize(bytes.NewReader(packed.Bytes()), 100)
	got, err := unpack(in)
	if err != nil || string(got) != want.String() {
		t.Errorf("%d of %d bytes, error %v", len(got), len(want.String()), err)
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("behind the last member: %v", err)
	}
}

// TestMatchesStayInTheirMember refuses a match that reaches into the member
// before its own, also where that lies in the same buffer.
func TestMatchesStayInTheirMember(t *testing.T) {
	var w bitWriter
	w.put(1|1<<1, 3)
	fixed(&w, 'a')
	w.put(0b1000000, 7) // length 3
	w.put(0b01000, 5)   // distance 3
	w.put(0, 7)
	second := member(w.flush(), []byte("aabc"))
	got, err := unpack(bytes.NewReader(append(pack(t, []byte("abc"), 6), second...)))
	if err == nil || !strings.Contains(err.Error(), "a match begins 3 bytes back, there are 1") || string(got) != "abca" {
		t.Errorf("read %q, error %v", got, err)
	}
}

// fixed writes a literal below 144 in the fixed code.
func fixed(w *bitWriter, literal byte) {
	for i := 7; i >= 0; i-- {
		w.put(int(0x30+literal)>>i&1, 1)
	}
}

// TestCut cuts a stream at every byte.
func TestCut(t *testing.T) {
	plain := []byte(strings.Repeat("cut here ", 40) + strings.Repeat("x", 300) + "and here, too; 0123456789")
	for _, level := range []int{0, 1, 9} {
		whole := append(pack(t, plain, level), pack(t, plain[300:], level)...)
		first := len(pack(t, plain, level))
		for n := range whole {
			got, err := unpack(bytes.NewReader(whole[:n]))
			switch {
			case n == first:
				if err != nil || !bytes.Equal(got, plain) {
					t.Errorf("level %d, between members: %v", level, err)
				}
			case !errors.Is(err, io.ErrUnexpectedEOF):
				t.Errorf("level %d, cut at %d: error %v", level, n, err)
			case !bytes.HasPrefix(append(bytes.Clone(plain), plain[300:]...), got):
				t.Errorf("level %d, cut at %d: wrong content", level, n)
			}
		}
	}
}

// TestReadErrors hands on what reading the input returned, wherever that comes.
func TestReadErrors(t *testing.T) {
	broken := errors.New("the cable is cut")
	whole := pack(t, []byte(strings.Repeat("some text ", 100)), 6)
	for n := range whole {
		_, err := unpack(io.MultiReader(bytes.NewReader(whole[:n]), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) {
			t.Errorf("error after %d bytes: %v", n, err)
		}
	}
	z, err := inflate.NewReader(io.MultiReader(bytes.NewReader(whole[:40]), iotest.ErrReader(broken)))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := z.Next(new(inflate.Buffer)); !errors.Is(err, broken) {
			t.Errorf("error %v, want it to stay", err)
		}
	}
}

func ExampleReader_Next() {
	packed := []byte{31, 139, 8, 0, 0, 0, 0, 0, 0, 255, 43, 200, 201, 204, 45, 206, 207, 201, 1, 0, 177, 15, 112, 124, 8, 0, 0, 0}
	r, err := inflate.NewReader(bytes.NewReader(packed))
	if err != nil {
		fmt.Println(err)
		return
	}
	for buffer := new(inflate.Buffer); ; {
		piece, err := r.Next(buffer)
		fmt.Printf("%s", piece)
		if err != nil {
			fmt.Println("", err)
			return
		}
	}
	// Output: plimsoll EOF
}
