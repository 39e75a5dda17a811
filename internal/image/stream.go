package image

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"

	"github.com/opencontainers/go-digest"

	"plimsoll/internal/fault"
	"plimsoll/internal/image/inflate"
	"plimsoll/internal/ref"
)

// A stream decompresses in a goroutine of its own, a few chunks ahead of the
// reader: inflating and hashing the blob on one core, hashing and parsing the
// tar on another.
const (
	chunks   = 4
	blobRead = 64 << 10 // bytes of the blob read at once
)

// chunk is a piece of the plain content, and the buffer that it lies in. The
// goroutine reads in it, too: content refers back to what came before it.
type chunk struct {
	buffer *inflate.Buffer
	plain  []byte
}

// stream is the plain content of a layer. It is hashed chunk by chunk as the
// reader takes it, so skipping costs neither a copy nor a gap in the digest.
type stream struct {
	full   chan chunk
	free   chan *inflate.Buffer
	halt   chan struct{} // closed when the reader wants no more
	exited chan struct{} // closed when the goroutine has ended
	drain  bool          // set before halt is closed: read the blob to its end
	blob   *blobReader
	cause  error // set before full is closed: why the stream ended early

	buffer *inflate.Buffer // that rest lies in, nil before the first
	rest   []byte
	hash   hash.Hash  // of the plain bytes, nil if same serves
	same   ref.Digest // the blob's, if it is plain
	n      int64      // plain bytes taken
}

// startStream reads blob, which it closes, in a new goroutine; stop must be
// called in the end.
func startStream(ctx context.Context, blob io.ReadCloser, name ref.Digest, want compression, caps Caps) *stream {
	s := &stream{
		full: make(chan chunk, chunks), free: make(chan *inflate.Buffer, chunks),
		halt: make(chan struct{}), exited: make(chan struct{}),
		blob: &blobReader{ctx: ctx, r: blob}, hash: sha256.New(),
	}
	if want == plainTar && name.Algorithm() == digest.SHA256 {
		s.hash, s.same = nil, name
	}
	for range chunks {
		s.free <- new(inflate.Buffer)
	}
	go func() {
		defer close(s.exited)
		defer func() { _ = blob.Close() }()
		s.cause = s.produce(want, caps)
		close(s.full)
		s.finish()
	}()
	return s
}

// stop ends the goroutine. If drain is set, the blob is read to its end first,
// so that its digest is known. It returns why the stream ended early, the blob's
// own error first.
func (s *stream) stop(drain bool) error {
	s.drain = drain
	close(s.halt)
	<-s.exited
	if s.blob.err != nil && !errors.Is(s.blob.err, io.EOF) {
		return s.blob.err
	}
	return s.cause
}

func (s *stream) finish() {
	if <-s.halt; s.drain {
		_, _ = io.Copy(io.Discard, s.blob) // its error is kept by the blobReader
	}
}

// whole reports whether the blob was read to its end and is right. It may be
// asked after stop.
func (s *stream) whole() bool { return errors.Is(s.blob.err, io.EOF) }

// produce fills chunks until the blob ends, the reader halts or something is
// wrong.
func (s *stream) produce(want compression, caps Caps) error {
	in := bufio.NewReaderSize(s.blob, blobRead)
	plain, err := decompress(in, want)
	if err != nil {
		return err
	}
	defer plain.Close()
	for n := int64(0); ; {
		var buffer *inflate.Buffer
		select {
		case <-s.halt:
			return nil
		case buffer = <-s.free:
		}
		got, err := plain.Next(buffer)
		n += int64(len(got))
		if bomb := caps.check(n, s.blob.n); bomb != nil {
			return bomb
		}
		s.full <- chunk{buffer, got} // never blocks: there is room for all chunks
		switch {
		case errors.Is(err, io.EOF):
			return nothingFollows(in)
		case err != nil:
			return fault.Errorf(fault.Invalid, "%s: %w", want, err)
		}
	}
}

func nothingFollows(in *bufio.Reader) error {
	_, err := in.ReadByte()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil:
		return fault.Errorf(fault.Invalid, "something follows the compressed data")
	}
	return err
}

// next makes the following chunk the current one.
func (s *stream) next() error {
	if s.buffer != nil {
		s.free <- s.buffer
		s.buffer = nil
	}
	c, ok := <-s.full
	switch {
	case !ok && s.cause != nil:
		return s.cause
	case !ok:
		return io.EOF
	}
	s.buffer, s.rest = c.buffer, c.plain
	s.n += int64(len(c.plain))
	if s.hash != nil {
		s.hash.Write(c.plain)
	}
	return nil
}

// Read implements [io.Reader].
func (s *stream) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		if err := s.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// Seek implements [io.Seeker] as far as archive/tar uses it to pass over what
// nobody read: forward from where it is.
func (s *stream) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekCurrent || offset < 0 {
		return 0, errors.New("a stream only goes forward")
	}
	for offset > int64(len(s.rest)) {
		offset -= int64(len(s.rest))
		s.rest = nil
		if err := s.next(); errors.Is(err, io.EOF) {
			return s.n, nil
		} else if err != nil {
			return 0, err
		}
	}
	s.rest = s.rest[offset:]
	return s.n - int64(len(s.rest)), nil
}

// zeros reads to the end of the stream, which must hold nothing but zeros:
// padding is common, content that only some readers see is not.
func (s *stream) zeros() error {
	for {
		if len(bytes.TrimLeft(s.rest, "\x00")) > 0 {
			return fault.Errorf(fault.Invalid, "content behind the end of the tar")
		}
		if err := s.next(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// digest returns the digest of the plain bytes. It may be asked when the stream
// was read to its end.
func (s *stream) digest() ref.Digest {
	if s.hash == nil {
		return s.same
	}
	return digest.NewDigest(digest.SHA256, s.hash)
}

// blobReader counts what is read of a blob and keeps the error that ended it.
type blobReader struct {
	ctx context.Context //nolint:containedctx // ends reading of local files, too
	r   io.Reader
	n   int64
	err error
}

func (b *blobReader) Read(p []byte) (int, error) {
	if b.err == nil {
		b.err = b.ctx.Err()
	}
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.r.Read(p)
	b.n += int64(n)
	b.err = err
	return n, err
}

// content is what fn reads of an entry.
type content struct {
	tar *tar.Reader
	on  bool  // the entry is a regular file
	err error // why reading ended early
}

func (c *content) Read(p []byte) (int, error) {
	if !c.on {
		return 0, io.EOF
	}
	n, err := c.tar.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = fault.As(fault.Invalid, err)
		err = c.err
	}
	return n, err
}
