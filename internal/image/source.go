package image

import (
	"bytes"
	"context"
	"io"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
)

// remote is a repository of a registry.
type remote struct {
	client *oci.Client
	name   ref.Reference
	top    oci.Manifest // read already
}

// Open implements [Blobs]. Manifests have an address of their own in registries.
func (s *remote) Open(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	if !oci.IsManifest(d.MediaType) && !oci.IsIndex(d.MediaType) {
		return s.client.Blob(ctx, s.name.GUN(), d)
	}
	b := s.top.Bytes
	if d.Digest != s.top.Digest {
		m, err := s.client.Manifest(ctx, s.name.WithDigest(d.Digest))
		if err != nil {
			return nil, err
		}
		b = m.Bytes
	}
	return oci.VerifyReader(io.NopCloser(bytes.NewReader(b)), d), nil
}

// counted tells progress how much is read, and ends reading when the context
// does, wherever the blobs lie.
type counted struct {
	Blobs
	progress func(int)
}

// Open implements [Blobs].
func (c counted) Open(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	r, err := c.Blobs.Open(ctx, d)
	if err != nil {
		return nil, err
	}
	return &countedReader{r, ctx, c.progress}, nil
}

type countedReader struct {
	io.ReadCloser
	ctx      context.Context //nolint:containedctx // of the one who opened it
	progress func(int)
}

func (c *countedReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.ReadCloser.Read(p)
	if c.progress != nil {
		c.progress(n)
	}
	return n, err
}
