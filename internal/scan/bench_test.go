package scan_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	kgzip "github.com/klauspost/compress/gzip"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/image"
	"plimsoll/internal/ref"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/all"
)

const benchEntries = 20000

// blob is an image's only layer.
type blob []byte

func (b blob) Open(context.Context, v1.Descriptor) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(b)), nil
}

// bigLayer makes a gzip layer of about 200 MB with a package.json in every
// twentieth file and an ELF header on every tenth.
func bigLayer(b testing.TB) (gz blob, plain ref.Digest, size int64) {
	b.Helper()
	var out bytes.Buffer
	sum := sha256.New()
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		b.Fatal(err)
	}
	count := &counter{}
	w := tar.NewWriter(io.MultiWriter(z, sum, count))
	random := rand.New(rand.NewPCG(1, 2))
	content := make([]byte, 64<<10)
	for i := range content {
		content[i] = "etaoin shrdlu\n"[random.IntN(14)]
	}
	for i := range benchEntries {
		name, body := fmt.Sprintf("usr/share/doc/package-%d/file-%d", i/40, i), content[:random.IntN(20<<10)]
		switch {
		case i%20 == 0:
			name, body = fmt.Sprintf("app/node_modules/p%d/package.json", i), fmt.Appendf(nil, `{"name": "p%d", "version": "1.0.%d"}`, i, i)
		case i%10 == 1:
			name, body = fmt.Sprintf("usr/bin/tool-%d", i), append([]byte("\x7fELF\x02\x01\x01"), content...)
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(body)), Mode: 0o644}); err != nil {
			b.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	if err := z.Close(); err != nil {
		b.Fatal(err)
	}
	return out.Bytes(), ref.Digest("sha256:" + hex.EncodeToString(sum.Sum(nil))), count.n
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

func BenchmarkScan(b *testing.B) {
	gz, plain, size := bigLayer(b)
	sum := sha256.Sum256(gz)
	m := &image.Image{Name: "bench", Blobs: gz}
	m.Layers = []v1.Descriptor{{MediaType: v1.MediaTypeImageLayerGzip, Digest: ref.Digest("sha256:" + hex.EncodeToString(sum[:])), Size: int64(len(gz))}}
	m.Spec.RootFS.DiffIDs = []ref.Digest{plain}
	s := scan.New(scan.Config{Extractors: all.Extractors(nil)})
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		v, err := s.Scan(b.Context(), m)
		if err != nil || len(v.Components) != benchEntries/20 || !v.Complete() {
			b.Fatal(err, len(v.Components), v.Unreadable)
		}
	}
}

// BenchmarkFloor does what no scanner can do without: decompress, hash twice,
// walk the tar.
func BenchmarkFloor(b *testing.B) {
	gz, _, size := bigLayer(b)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		outer, inner := sha256.New(), sha256.New()
		z, err := kgzip.NewReader(io.TeeReader(bytes.NewReader(gz), outer))
		if err != nil {
			b.Fatal(err)
		}
		r := tar.NewReader(io.TeeReader(z, inner))
		for {
			if _, err := r.Next(); err != nil {
				break
			}
			if _, err := io.Copy(io.Discard, r); err != nil {
				b.Fatal(err)
			}
		}
	}
}
