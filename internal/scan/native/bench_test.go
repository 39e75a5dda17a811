package native

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"plimsoll/internal/scan/exe"
)

// BenchmarkLook looks for all products in the programs and libraries of the
// machine, up to 256 MiB of them. The bar is 1 GB/s.
func BenchmarkLook(b *testing.B) {
	set, err := readSet()
	if err != nil {
		b.Fatal(err)
	}
	var files [][]byte
	var size int64
	for _, pattern := range []string{"/usr/lib/*/*.so*", "/usr/bin/*"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			b.Fatal(err)
		}
		for _, p := range paths {
			content, err := os.ReadFile(p)
			if err == nil && exe.Sniff(content) == exe.ELF && size+int64(len(content)) < 256<<20 {
				files = append(files, content)
				size += int64(len(content))
			}
		}
	}
	b.SetBytes(size)
	for b.Loop() {
		for _, f := range files {
			if _, err := set.look(b.Context(), bytes.NewReader(f)); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkLoad is what the first native file of a scan costs more than others.
func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		products, err := decodeBuiltin()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := newSet(products); err != nil {
			b.Fatal(err)
		}
	}
}
