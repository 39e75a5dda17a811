package image_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/klauspost/compress/gzip"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/image"
)

// benchLayer is some 64 MiB of this test's own machine code and of text in
// small files, as layers are.
func benchLayer(b *testing.B) (blob []byte, plain int64) {
	b.Helper()
	program, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	code, err := os.ReadFile(program)
	if err != nil {
		b.Fatal(err)
	}
	files := []file{{Header: tar.Header{Name: "bin/program"}, body: string(code)}}
	random := rand.New(rand.NewPCG(1, 2))
	for n := len(code); n < 64<<20; {
		var text strings.Builder
		for range random.IntN(2000) {
			text.WriteString([]string{"package ", "layer ", "the ", "a ", "digest ", "of ", "is ", "\n"}[random.IntN(8)])
		}
		from := random.IntN(len(code) - 1<<16)
		body := text.String() + string(code[from:from+random.IntN(1<<16)])
		files = append(files, file{Header: tar.Header{Name: "usr/share/" + string(rune('a'+random.IntN(26))) + "/file"}, body: body})
		n += len(body)
	}
	t := tarOf(b, files...)
	return gzipOf(b, t), int64(len(t))
}

// BenchmarkWalk is to be compared with BenchmarkFloor: what any program must do
// that looks at all bytes of a layer and knows their digests.
func BenchmarkWalk(b *testing.B) {
	blob, plain := benchLayer(b)
	m := oneLayer(v1.MediaTypeImageLayerGzip, blob)
	for _, read := range []bool{true, false} {
		name := map[bool]string{true: "read", false: "skip"}[read]
		b.Run(name, func(b *testing.B) {
			b.SetBytes(plain)
			b.ReportAllocs()
			buf := make([]byte, 32<<10)
			defer reportCPU(b)()
			for b.Loop() {
				_, err := m.Walk(b.Context(), 0, image.Caps{}, func(_ image.Entry, r io.Reader) error {
					for read {
						if _, err := r.Read(buf); errors.Is(err, io.EOF) {
							return nil
						} else if err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkFloor(b *testing.B) {
	blob, plain := benchLayer(b)
	b.SetBytes(plain)
	b.ReportAllocs()
	buf := make([]byte, 32<<10)
	defer reportCPU(b)()
	for b.Loop() {
		blobHash, diffHash := sha256.New(), sha256.New()
		z, err := gzip.NewReader(bufio.NewReaderSize(io.TeeReader(bytes.NewReader(blob), blobHash), 64<<10))
		if err != nil {
			b.Fatal(err)
		}
		in := io.TeeReader(z, diffHash)
		tr := tar.NewReader(in)
		for {
			if _, err := tr.Next(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				b.Fatal(err)
			}
			if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, tr, buf); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := io.Copy(io.Discard, in); err != nil {
			b.Fatal(err)
		}
	}
}

// reportCPU reports the processor time that an iteration takes, over all cores.
func reportCPU(b *testing.B) func() {
	start := cpuTime(b)
	return func() {
		b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N), "cpu-ns/op")
	}
}

func cpuTime(b *testing.B) int64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
