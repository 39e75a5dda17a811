package image

import (
	"context"
	"errors"
	"io"
	"io/fs"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
)

// inspect returns a reader of the blob r, layer i of m, that walks the layer
// while it is read: it ends in io.EOF only if [Image.Walk] found nothing wrong.
// Wrong bytes come before malformed ones, as in Walk.
func inspect(ctx context.Context, r io.ReadCloser, m *Image, i int) io.ReadCloser {
	fed, feed := io.Pipe()
	one := &Image{Layers: m.Layers, Spec: m.Spec, Blobs: onlyBlob{fed}}
	s := &inspected{r: r, feed: feed, done: make(chan error, 1)}
	go func() {
		_, err := one.Walk(ctx, i, Caps{}, func(Entry, io.Reader) error { return nil })
		if err != nil {
			_ = fed.CloseWithError(err) // so that nobody waits for us to read on
		}
		s.done <- err
	}()
	return s
}

// onlyBlob is the one blob that is being read; whoever reads it verifies.
type onlyBlob struct{ io.ReadCloser }

func (b onlyBlob) Open(context.Context, v1.Descriptor) (io.ReadCloser, error) {
	return b.ReadCloser, nil
}

type inspected struct {
	r      io.ReadCloser
	feed   *io.PipeWriter
	done   chan error // what the walk returned, once
	walked bool
	err    error // what every further Read returns
}

func (s *inspected) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	if n > 0 {
		if _, stopped := s.feed.Write(p[:n]); stopped != nil {
			s.err = s.end(io.EOF)
			return 0, s.err
		}
	}
	if err != nil {
		s.err = s.end(err)
	}
	return n, s.err
}

// end returns what reading ends with, if the source ended with err: the source's
// own error first, then the walk's.
func (s *inspected) end(err error) error {
	if errors.Is(err, io.EOF) {
		_ = s.feed.Close()
	} else {
		_ = s.feed.CloseWithError(err)
	}
	walk := <-s.done
	s.walked = true
	if walk != nil && errors.Is(err, io.EOF) {
		if _, rest := io.Copy(io.Discard, s.r); rest != nil { // what the bytes are decides
			return rest
		}
		return walk
	}
	return err
}

// Close ends the walk as well.
func (s *inspected) Close() error {
	if !s.walked {
		_ = s.feed.CloseWithError(context.Canceled)
		s.err = errors.Join(fs.ErrClosed, <-s.done)
		s.walked = true
	}
	return s.r.Close()
}

// layers are the layers of images that a copy meets, by digest.
type layers map[ref.Digest]layerOf

type layerOf struct {
	image *Image
	index int
}

// add remembers the layers of the image with manifest m, if it is one. What is
// not (a signature, an attestation) has no layers to walk.
func (l layers) add(ctx context.Context, blobs Blobs, d v1.Descriptor, m v1.Manifest) error {
	if t := m.Config.MediaType; t != v1.MediaTypeImageConfig && t != oci.DockerConfig {
		return nil
	}
	image := &Image{Blobs: blobs}
	if err := image.load(ctx, d, m); err != nil {
		return err
	}
	for i, layer := range m.Layers {
		if _, ok := layerTypes[layer.MediaType]; ok {
			l[layer.Digest] = layerOf{image, i}
		}
	}
	return nil
}
