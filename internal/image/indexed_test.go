package image_test

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
)

// indexedTar is the tar of a layer with an index at its end, and where its files
// and the index begin: builders compress each part on its own.
func indexedTar(t *testing.T) (plain []byte, parts []int) {
	t.Helper()
	files := []file{
		{Header: tar.Header{Name: "etc/"}, body: ""},
		{Header: tar.Header{Name: "etc/os-release"}, body: "ID=debian\n"},
		{Header: tar.Header{Name: "bin/large"}, body: strings.Repeat("0123456789", 60_000)},
		{Header: tar.Header{Name: ".no.prefetch.landmark"}, body: "\x0f"},
		{Header: tar.Header{Name: "stargz.index.json"}, body: `{"version":1,"entries":[]}`},
	}
	files[0].Typeflag = tar.TypeDir
	for i := range files {
		parts = append(parts, len(tarOf(t, files[:i]...))-1024) // without the end
	}
	return tarOf(t, files...), parts
}

// cut returns the parts of plain, each compressed by pack.
func cut(t *testing.T, plain []byte, parts []int, pack func(testing.TB, []byte) []byte) (blob []byte) {
	t.Helper()
	for i, from := range parts {
		to := len(plain)
		if i+1 < len(parts) {
			to = parts[i+1]
		}
		blob = append(blob, pack(t, plain[from:to])...)
	}
	return blob
}

// estargzFooter is the last member of an eStargz: empty, and with the place of
// the index in an extra field (stargz-snapshotter, docs/estargz.md, "Footer").
func estargzFooter(t *testing.T, index int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.NoCompression)
	if err != nil {
		t.Fatal(err)
	}
	field := fmt.Sprintf("%016xSTARGZ", index)
	w.Extra = append([]byte{'S', 'G', byte(len(field)), 0}, field...)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// skippable is a frame that decompressors pass over (RFC 8878, section 3.1.2).
func skippable(content []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 0x184d2a50)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(content)))
	return append(b, content...)
}

// TestIndexedLayers reads layers that can also be read by ranges as what they
// are: members or frames one behind the other, and an index. What the index says
// is not looked at, so it cannot hide anything.
func TestIndexedLayers(t *testing.T) {
	plain, parts := indexedTar(t)
	members := cut(t, plain, parts, gzipOf)
	frames := cut(t, plain, parts, zstdOf)
	index := append(skippable(zstdOf(t, []byte(`{"version":1,"entries":[]}`))), skippable([]byte("\x00\x00\x00\x00GNUlInUx"))...)
	want := []string{"etc", "etc/os-release", "bin/large", ".no.prefetch.landmark", "stargz.index.json"}
	for name, tt := range map[string]struct {
		mediaType string
		blob      []byte
	}{
		"eStargz":            {v1.MediaTypeImageLayerGzip, append(bytes.Clone(members), estargzFooter(t, 4711)...)},
		"eStargz, no footer": {v1.MediaTypeImageLayerGzip, members},
		"zstd:chunked":       {v1.MediaTypeImageLayerZstd, append(bytes.Clone(frames), index...)},
		"index first":        {v1.MediaTypeImageLayerZstd, append(bytes.Clone(index), frames...)},
	} {
		t.Run(name, func(t *testing.T) {
			entries, bodies, walked, err := list(oneLayer(tt.mediaType, tt.blob), image.Caps{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range entries {
				got = append(got, e.Path)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
			if walked.Size != int64(len(plain)) || len(bodies[2]) != 600_000 {
				t.Errorf("%d plain bytes and %d of the large file", walked.Size, len(bodies[2]))
			}
		})
	}
	hidden := append(bytes.Clone(members), gzipOf(t, tarOf(t, file{Header: tar.Header{Name: "hidden"}}))...)
	if _, _, _, err := list(oneLayer(v1.MediaTypeImageLayerGzip, hidden), image.Caps{}); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "behind the end") {
		t.Errorf("a member with a tar behind the index: error %v", err)
	}
}

// TestCapIsExact takes as many plain bytes as the cap and not one more, at the
// edges of the pieces that they come in.
func TestCapIsExact(t *testing.T) {
	for _, size := range []int{223 << 10, 224 << 10, 225 << 10, 448 << 10} {
		body := strings.Repeat("x", size-1536) // a header and the end
		for mediaType, pack := range map[string]func(testing.TB, []byte) []byte{
			v1.MediaTypeImageLayerGzip: gzipOf, v1.MediaTypeImageLayerZstd: zstdOf,
			v1.MediaTypeImageLayer: func(_ testing.TB, b []byte) []byte { return b },
		} {
			plain := tarOf(t, file{Header: tar.Header{Name: "a"}, body: body})
			m := oneLayer(mediaType, pack(t, plain))
			if _, _, walked, err := list(m, image.Caps{Bytes: int64(len(plain))}); err != nil || walked.Size != int64(len(plain)) {
				t.Errorf("%s, %d bytes at the cap: %+v, error %v", mediaType, len(plain), walked, err)
			}
			if _, _, _, err := list(m, image.Caps{Bytes: int64(len(plain)) - 1}); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s, %d bytes over the cap: error %v", mediaType, len(plain), err)
			}
		}
	}
}
