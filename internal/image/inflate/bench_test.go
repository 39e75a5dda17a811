package inflate_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"testing"

	kgzip "github.com/klauspost/compress/gzip"

	"plimsoll/internal/image/inflate"
)

// BenchmarkInflate is to be compared between the readers, which take turns on
// the same data. What it reads is this test's own machine code, and text.
func BenchmarkInflate(b *testing.B) {
	plain := corpora(b)
	for _, name := range []string{"program", "text", "zeros", "random"} {
		packed := pack(b, plain[name], 6)
		run := func(reader string, read func(in *bufio.Reader) error) {
			b.Run(name+"/"+reader, func(b *testing.B) {
				b.SetBytes(int64(len(plain[name])))
				b.ReportAllocs()
				for b.Loop() {
					if err := read(bufio.NewReaderSize(bytes.NewReader(packed), 64<<10)); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		run("std", func(in *bufio.Reader) error {
			z, err := gzip.NewReader(in)
			return discard(z, err)
		})
		run("klauspost", func(in *bufio.Reader) error {
			z, err := kgzip.NewReader(in)
			return discard(z, err)
		})
		run("ours", func(in *bufio.Reader) error {
			z, err := inflate.NewReader(in)
			for i := 0; err == nil; i++ {
				_, err = z.Next(&buffers[i%len(buffers)])
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		})
	}
}

func discard(r io.Reader, err error) error {
	if err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	return err
}
