package image

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/image/inflate"
	"plimsoll/internal/oci"
)

// compression is how a layer's tar is packed.
type compression string

const (
	plainTar compression = "plain tar"
	gzipped  compression = "gzip"
	zstdised compression = "zstd"
)

// zstdWindow bounds a frame's window, which is kept in memory, in bytes. Builders
// of images write up to 32 MiB; 128 MiB, which takes zstd --ultra -22, would be
// more than a scan may take as a whole.
const zstdWindow = 64 << 20

var layerTypes = map[string]compression{
	v1.MediaTypeImageLayer:     plainTar,
	v1.MediaTypeImageLayerGzip: gzipped,
	v1.MediaTypeImageLayerZstd: zstdised,
	oci.DockerLayer:            plainTar,
	oci.DockerLayerGzip:        gzipped,
	oci.DockerLayerZstd:        zstdised,
}

// foreignTypes are layers whose content may not be passed on and lies at the
// URLs of their descriptor; deprecated since image-spec 1.1.
var foreignTypes = map[string]bool{
	"application/vnd.oci.image.layer.nondistributable.v1.tar":      true,
	"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": true,
	"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": true,
	"application/vnd.docker.image.rootfs.foreign.diff.tar":         true,
	"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip":    true,
}

// foreign refuses the foreign layer d and says where its content is to be had.
func foreign(d v1.Descriptor) error {
	where := "elsewhere, and the manifest does not say where"
	if len(d.URLs) > 0 {
		where = fmt.Sprintf("at %q", d.URLs)
	}
	return fault.Errorf(fault.Invalid, "media type %q: the content of this foreign layer is %s: it is not fetched", d.MediaType, where)
}

// layerType returns how a layer of d's media type is packed.
func layerType(d v1.Descriptor) (compression, error) {
	c, ok := layerTypes[d.MediaType]
	switch {
	case ok:
		return c, nil
	case foreignTypes[d.MediaType]:
		return "", foreign(d)
	case strings.HasSuffix(d.MediaType, "+encrypted"):
		return "", fault.Errorf(fault.Invalid, "media type %q: encrypted layers cannot be looked into", d.MediaType)
	}
	return "", fault.Errorf(fault.Invalid, "media type %q is not that of a layer", d.MediaType)
}

// plainSource gives the plain content of a layer piece by piece, each in the
// buffer that it is lent; with the last, or after it, comes io.EOF.
type plainSource interface {
	Next(b *inflate.Buffer) ([]byte, error)
	Close() error
}

// decompress returns the plain content of in, which must be packed as the media
// type said: engines differ in which of the two they go by.
func decompress(in *bufio.Reader, want compression) (plainSource, error) {
	head, err := in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if is := packing(head); is != want {
		return nil, fault.Errorf(fault.Invalid, "the layer is %s, its media type says %s", is, want)
	}
	switch want {
	case gzipped:
		r, err := inflate.NewReader(in)
		if err != nil {
			return nil, fault.Errorf(fault.Invalid, "gzip: %w", err)
		}
		return gzipSource{r}, nil
	case zstdised:
		r, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindow))
		if err != nil {
			return nil, fault.Errorf(fault.Invalid, "zstd: %w", err)
		}
		return readSource{r.IOReadCloser()}, nil
	case plainTar:
	}
	return readSource{io.NopCloser(in)}, nil
}

// gzipSource inflates straight into the buffers.
type gzipSource struct{ *inflate.Reader }

func (gzipSource) Close() error { return nil }

// readSource fills the buffers from a reader.
type readSource struct{ io.ReadCloser }

// Next reads until b is full or an error, io.EOF included, comes.
func (r readSource) Next(b *inflate.Buffer) ([]byte, error) {
	p := b.Bytes()
	n := 0
	for empty := 0; n < len(p); {
		got, err := r.Read(p[n:])
		n += got
		if err != nil {
			return p[:n], err
		}
		if got > 0 {
			empty = 0
		} else if empty++; empty > 100 {
			return p[:n], io.ErrNoProgress
		}
	}
	return p, nil
}

// packing recognises a packing by its first bytes (RFC 1952, section 2.3.1;
// RFC 8878, sections 3.1.1 and 3.1.2).
func packing(head []byte) compression {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzipped
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}), len(head) == 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:], []byte{0x2a, 0x4d, 0x18}):
		return zstdised
	}
	return plainTar
}
