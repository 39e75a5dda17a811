package image_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
)

// memory holds blobs by their digest.
type memory map[ref.Digest][]byte

func (m memory) Open(_ context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	b, ok := m[d.Digest]
	if !ok {
		return nil, fault.Errorf(fault.NotFound, "no blob %s", d.Digest)
	}
	return oci.VerifyReader(io.NopCloser(bytes.NewReader(b)), d), nil
}

// oneLayer returns an image of one layer with that blob.
func oneLayer(mediaType string, blob []byte) *image.Image {
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(blob), Size: int64(len(blob))}
	return &image.Image{Layers: []v1.Descriptor{d}, Blobs: memory{d.Digest: blob}}
}

// file returns the header of an entry and its content.
type file struct {
	tar.Header
	body string
}

func tarOf(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := f.Header
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		h.Size = int64(len(f.body))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipOf(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zstdOf(t testing.TB, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(b, nil)
}

// list walks the only layer and returns its entries with their content.
func list(m *image.Image, caps image.Caps) ([]image.Entry, []string, image.Walked, error) {
	var entries []image.Entry
	var bodies []string
	walked, err := m.Walk(context.Background(), 0, caps, func(e image.Entry, r io.Reader) error {
		b, err := io.ReadAll(r)
		entries, bodies = append(entries, e), append(bodies, string(b))
		return err
	})
	return entries, bodies, walked, err
}

func TestWalkGivesEveryKindOfEntry(t *testing.T) {
	when := time.Unix(1_700_000_000, 0)
	plain := tarOf(t,
		file{Header: tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755, ModTime: when}},
		file{Header: tar.Header{Name: "/etc/passwd", Mode: 0o104755, Uid: 1, Gid: 2, ModTime: when, PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "x"}}, body: "root"},
		file{Header: tar.Header{Name: "bin/sh", Typeflag: tar.TypeSymlink, Linkname: "/usr/../bin/dash", ModTime: when}},
		file{Header: tar.Header{Name: "bin/hard", Typeflag: tar.TypeLink, Linkname: "/etc/./passwd", ModTime: when}},
		file{Header: tar.Header{Name: "dev/null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3, ModTime: when}},
		file{Header: tar.Header{Name: "dev/disk", Typeflag: tar.TypeBlock, Devmajor: 8, ModTime: when}},
		file{Header: tar.Header{Name: "run/pipe", Typeflag: tar.TypeFifo, ModTime: when}},
		file{Header: tar.Header{Name: "usr/.wh.lib", ModTime: when}},
		file{Header: tar.Header{Name: "opt/.wh..wh..opq", ModTime: when}},
		file{Header: tar.Header{Name: ".wh..wh..opq", ModTime: when}},
		file{Header: tar.Header{Name: "etc/passwd", ModTime: when}, body: "again"},
	)
	want := []image.Entry{
		{Path: ".", Type: image.Directory, Mode: 0o755},
		{Path: "etc/passwd", Type: image.Regular, Mode: 0o4755, UID: 1, GID: 2, Size: 4, Xattrs: map[string]string{"security.capability": "x"}},
		{Path: "bin/sh", Type: image.Symlink, Link: "/usr/../bin/dash"},
		{Path: "bin/hard", Type: image.Hardlink, Link: "etc/passwd"},
		{Path: "dev/null", Type: image.Char, Major: 1, Minor: 3},
		{Path: "dev/disk", Type: image.Block, Major: 8},
		{Path: "run/pipe", Type: image.FIFO},
		{Path: "usr/lib", Type: image.Whiteout},
		{Path: "opt", Type: image.Opaque},
		{Path: ".", Type: image.Opaque},
		{Path: "etc/passwd", Type: image.Regular, Size: 5},
	}
	for i := range want {
		want[i].Modified = when
	}
	for mediaType, blob := range map[string][]byte{
		v1.MediaTypeImageLayer:     plain,
		v1.MediaTypeImageLayerGzip: gzipOf(t, plain),
		v1.MediaTypeImageLayerZstd: zstdOf(t, plain),
		oci.DockerLayer:            plain,
		oci.DockerLayerGzip:        append(gzipOf(t, plain[:1000]), gzipOf(t, plain[1000:])...), // two members
	} {
		m := oneLayer(mediaType, blob)
		m.Spec.RootFS.DiffIDs = []ref.Digest{digest.FromBytes(plain)}
		entries, bodies, walked, err := list(m, image.Caps{})
		if err != nil {
			t.Fatalf("%s: %v", mediaType, err)
		}
		if diff := cmp.Diff(want, entries); diff != "" {
			t.Errorf("%s: entries (-want +got):\n%s", mediaType, diff)
		}
		if got := strings.Join(bodies, "|"); got != "|root|||||||||again" {
			t.Errorf("%s: content %q", mediaType, got)
		}
		wantWalked := image.Walked{Blob: digest.FromBytes(blob), DiffID: digest.FromBytes(plain), Size: int64(len(plain)), Count: len(want)}
		if walked != wantWalked {
			t.Errorf("%s: walked %+v, want %+v", mediaType, walked, wantWalked)
		}
	}
}

// TestWalkHashesWhatNobodyReads passes over all content.
func TestWalkHashesWhatNobodyReads(t *testing.T) {
	plain := tarOf(t, file{Header: tar.Header{Name: "a"}, body: strings.Repeat("a", 1_000_000)}, file{Header: tar.Header{Name: "b"}, body: "b"})
	m := oneLayer(v1.MediaTypeImageLayerGzip, gzipOf(t, plain))
	walked, err := m.Walk(t.Context(), 0, image.Caps{}, func(image.Entry, io.Reader) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if want := digest.FromBytes(plain); walked.DiffID != want || walked.Count != 2 {
		t.Errorf("walked %+v, want diff ID %s", walked, want)
	}
}

func TestWalkRefusesHostileEntries(t *testing.T) {
	reg := func(name string) file { return file{Header: tar.Header{Name: name}} }
	deep := strings.Repeat("d/", 300) + "f"
	tests := []struct {
		name string
		file file
		want string
	}{
		{"parent", reg("../etc/passwd"), "escapes"},
		{"parent inside", reg("usr/../../etc/passwd"), "escapes"},
		{"parent after a slash", reg("/../etc/passwd"), "escapes"},
		{"parent that stays inside", reg("usr/../etc/passwd"), "escapes"},
		{"too deep", reg(deep), "deep"},
		{"too long", reg(strings.Repeat(strings.Repeat("n", 200)+"/", 30) + "n"), "bytes"},
		{"hard link to the outside", file{Header: tar.Header{Name: "x", Typeflag: tar.TypeLink, Linkname: "../../etc/shadow"}}, "hard link"},
		{"hard link to a whiteout", file{Header: tar.Header{Name: "x", Typeflag: tar.TypeLink, Linkname: "a/.wh.b"}}, "hard link"},
		{"symlink to nothing", file{Header: tar.Header{Name: "x", Typeflag: tar.TypeSymlink}}, "link target"},
		{"whiteout of nothing", reg("usr/.wh."), "whiteout of nothing"},
		{"whiteout of .", reg("usr/.wh.."), "whiteout of nothing"},
		{"whiteout of ..", reg("usr/.wh..."), "whiteout of nothing"},
		{"file in a whiteout", reg("usr/.wh.lib/x"), "cannot hold files"},
		{"AUFS hard links", reg(".wh..wh.plnk"), "AUFS"},
		{"AUFS hard links' files", reg(".wh..wh.plnk/1.2"), "cannot hold files"},
		{"overlayfs whiteout", file{Header: tar.Header{Name: "x", Typeflag: tar.TypeChar}}, "whiteout on overlayfs"},
		{"overlayfs opaque", file{Header: tar.Header{Name: "x/", Typeflag: tar.TypeDir, PAXRecords: map[string]string{"SCHILY.xattr.trusted.overlay.opaque": "y"}}}, "overlayfs"},
		{"large attribute", file{Header: tar.Header{Name: "x", PAXRecords: map[string]string{"SCHILY.xattr.user.x": strings.Repeat("x", 70_000)}}}, "extended attributes"},
		{"owner out of range", file{Header: tar.Header{Name: "x", Uid: 1 << 33}}, "owner"},
		{"global rename", file{Header: tar.Header{Name: "g", Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"path": "etc/shadow"}}}, "global header"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := oneLayer(v1.MediaTypeImageLayerGzip, gzipOf(t, tarOf(t, reg("before"), tt.file)))
			entries, _, walked, err := list(m, image.Caps{})
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "layer 0") {
				t.Errorf("error %v, want an invalid layer 0 with %q", err, tt.want)
			}
			if len(entries) != 1 || walked.Blob != m.Layers[0].Digest || walked.DiffID != "" {
				t.Errorf("%d entries, walked %+v", len(entries), walked)
			}
		})
	}
}

func TestWalkRefusesHostileBlobs(t *testing.T) {
	plain := tarOf(t, file{Header: tar.Header{Name: "a"}, body: strings.Repeat("some text ", 50_000)})
	packed := gzipOf(t, plain)
	zeros := make([]byte, 8<<20)
	hidden := append(bytes.Clone(plain), tarOf(t, file{Header: tar.Header{Name: "hidden"}, body: "x"})...)
	tests := []struct {
		name      string
		mediaType string
		blob      []byte
		caps      image.Caps
		want      string
	}{
		{"not a tar", v1.MediaTypeImageLayer, []byte(strings.Repeat("not a tar", 100)), image.Caps{}, "tar entry 1"},
		{"cut tar", v1.MediaTypeImageLayer, plain[:2000], image.Caps{}, "unexpected EOF"},
		{"cut gzip", v1.MediaTypeImageLayerGzip, packed[:len(packed)-9], image.Caps{}, "gzip: unexpected EOF"},
		{"gzip with another checksum", v1.MediaTypeImageLayerGzip, append(bytes.Clone(packed[:len(packed)-8]), 1, 2, 3, 4, 5, 6, 7, 8), image.Caps{}, "checksum"},
		{"something behind the gzip", v1.MediaTypeImageLayerGzip, append(bytes.Clone(packed), "trailer"...), image.Caps{}, "gzip"},
		{"zeros behind the gzip", v1.MediaTypeImageLayerGzip, append(bytes.Clone(packed), make([]byte, 512)...), image.Caps{}, "gzip"},
		{"a tar behind the tar", v1.MediaTypeImageLayerGzip, gzipOf(t, hidden), image.Caps{}, "behind the end"},
		{"gzip called zstd", v1.MediaTypeImageLayerZstd, packed, image.Caps{}, "gzip, its media type says zstd"},
		{"gzip called plain", v1.MediaTypeImageLayer, packed, image.Caps{}, "gzip, its media type says plain tar"},
		{"plain called gzip", oci.DockerLayerGzip, plain, image.Caps{}, "plain tar, its media type says gzip"},
		{"unknown media type", "application/vnd.in-toto+json", plain, image.Caps{}, "not that of a layer"},
		{"encrypted", v1.MediaTypeImageLayerGzip + "+encrypted", packed, image.Caps{}, "encrypted"},
		{"foreign", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", packed, image.Caps{}, "the manifest does not say where: it is not fetched"},
		{"bomb by size", v1.MediaTypeImageLayerGzip, gzipOf(t, zeros), image.Caps{Bytes: 1 << 20}, "decompression bomb: more than"},
		{"bomb by ratio", v1.MediaTypeImageLayerGzip, gzipOf(t, zeros), image.Caps{Ratio: 100, Grace: 1 << 20}, "decompression bomb: "},
		{"zstd bomb by ratio", v1.MediaTypeImageLayerZstd, zstdOf(t, zeros), image.Caps{Grace: 1 << 20}, "decompression bomb: "},
		{"blob over the cap", v1.MediaTypeImageLayer, plain, image.Caps{Bytes: 1000}, "blob of"},
		{"too many entries", v1.MediaTypeImageLayer, tarOf(t, file{Header: tar.Header{Name: "a"}}, file{Header: tar.Header{Name: "b"}}), image.Caps{Entries: 1}, "more than 1 entries"},
		{"sparse file over the cap", v1.MediaTypeImageLayer, sparse(t, 1<<40), image.Caps{}, "files of more than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, _, err := list(oneLayer(tt.mediaType, tt.blob), tt.caps)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want an invalid layer with %q", err, tt.want)
			}
		})
	}
}

// sparse returns a tar with one file of nothing but a hole (GNU sparse, PAX 1.0).
func sparse(t *testing.T, size int64) []byte {
	t.Helper()
	body := "1\n" + fmt.Sprint(size) + "\n0\n"
	body += strings.Repeat("\x00", 512-len(body))
	var b bytes.Buffer
	record := func(key, value string) string {
		n := len(key) + len(value) + 3
		for {
			s := fmt.Sprintf("%d %s=%s\n", n, key, value)
			if len(s) == n {
				return s
			}
			n = len(s)
		}
	}
	pax := record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0") + record("GNU.sparse.name", "hole") + record("GNU.sparse.realsize", fmt.Sprint(size))
	w := tar.NewWriter(&b)
	for _, h := range []struct {
		tar.Header
		body string
	}{{tar.Header{Typeflag: tar.TypeReg, Name: "pax"}, pax}, {tar.Header{Typeflag: tar.TypeReg, Name: "hole"}, body}} {
		h.Size = int64(len(h.body))
		if err := w.WriteHeader(&h.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, h.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	raw := b.Bytes()
	raw[156] = 'x' // the first entry becomes the second's PAX header
	sum := 0
	copy(raw[148:156], "        ")
	for _, c := range raw[:512] {
		sum += int(c)
	}
	copy(raw[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return raw
}

// TestWrongBytesWin changes, cuts and lengthens blobs that then are malformed,
// too: the digest decides what the error is.
func TestWrongBytesWin(t *testing.T) {
	good := gzipOf(t, tarOf(t, file{Header: tar.Header{Name: "a"}, body: strings.Repeat("some text ", 100_000)}))
	middle := bytes.Clone(good)
	middle[len(middle)/2] ^= 0xff
	head := bytes.Clone(good)
	head[0] ^= 0xff
	tests := map[string][]byte{
		"changed in the middle": middle,
		"changed at the start":  head,
		"cut short":             good[:len(good)/2],
		"empty":                 {},
		"longer":                append(bytes.Clone(good), 0),
		"another layer":         gzipOf(t, tarOf(t, file{Header: tar.Header{Name: "../b"}})),
	}
	for name, blob := range tests {
		t.Run(name, func(t *testing.T) {
			m := oneLayer(v1.MediaTypeImageLayerGzip, good)
			m.Blobs = memory{m.Layers[0].Digest: blob}
			_, _, walked, err := list(m, image.Caps{})
			if !fault.Is(err, fault.Untrusted) || !strings.Contains(err.Error(), m.Layers[0].Digest.String()) {
				t.Errorf("error %v, want an untrusted one that names the layer", err)
			}
			if walked.Blob != "" || walked.DiffID != "" {
				t.Errorf("walked %+v has digests", walked)
			}
		})
	}
}

func TestWrongDiffID(t *testing.T) {
	m := oneLayer(v1.MediaTypeImageLayer, tarOf(t))
	m.Spec.RootFS.DiffIDs = []ref.Digest{digest.FromString("another")}
	if _, _, _, err := list(m, image.Caps{}); !fault.Is(err, fault.Untrusted) || !strings.Contains(err.Error(), "diff ID") {
		t.Errorf("error %v, want untrusted: the config claims another diff ID", err)
	}
}

func TestWalkEndsEarly(t *testing.T) {
	m := oneLayer(v1.MediaTypeImageLayerGzip, gzipOf(t, tarOf(t, file{Header: tar.Header{Name: "a"}, body: strings.Repeat("x", 10<<20)}, file{Header: tar.Header{Name: "b"}})))
	enough := errors.New("enough")
	if _, err := m.Walk(t.Context(), 0, image.Caps{}, func(image.Entry, io.Reader) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("error %v, want the caller's own", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := m.Walk(ctx, 0, image.Caps{}, func(image.Entry, io.Reader) error {
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
	if _, err := m.Walk(t.Context(), 1, image.Caps{}, nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("layer 1 of 1: error %v", err)
	}
}

func FuzzWalk(f *testing.F) {
	plain := tarOf(f, file{Header: tar.Header{Name: "a"}, body: "x"}, file{Header: tar.Header{Name: "usr/.wh.b"}})
	f.Add(plain, byte(0))
	f.Add(gzipOf(f, plain), byte(1))
	f.Add(zstdOf(f, plain), byte(2))
	types := []string{v1.MediaTypeImageLayer, v1.MediaTypeImageLayerGzip, v1.MediaTypeImageLayerZstd}
	f.Fuzz(func(t *testing.T, blob []byte, kind byte) {
		m := oneLayer(types[int(kind)%len(types)], blob)
		entries, _, walked, err := list(m, image.Caps{Bytes: 1 << 24, Grace: 1 << 20})
		for _, e := range entries {
			for _, p := range []string{e.Path, e.Link} {
				if e.Type != image.Symlink && (strings.HasPrefix(p, "/") || p == ".." || strings.HasPrefix(p, "../")) {
					t.Errorf("%v %q escapes", e.Type, p)
				}
			}
		}
		if err == nil && (walked.Blob != digest.FromBytes(blob) || walked.DiffID == "") {
			t.Errorf("walked %+v", walked)
		}
		if k := fault.KindOf(err); err != nil && k != fault.Invalid {
			t.Errorf("error %v is %v", err, k)
		}
	})
}

func ExampleChainIDs() {
	base, app := digest.FromString("base"), digest.FromString("app")
	chain := image.ChainIDs([]ref.Digest{base, app})
	fmt.Println(chain[0] == base, chain[1] == digest.FromString(base.String()+" "+app.String()))
	// Output: true true
}
