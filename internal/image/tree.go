package image

import (
	"context"
	"errors"
	"fmt"
	"io"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// tree is what a loose image is made of: a folder or a single file.
type tree interface {
	// entries hands w all that is there, sorted by name.
	entries(w *treeWalk) error
}

// loose returns the image that t makes: one layer without a digest. Nothing in
// it says a platform, so it is the one asked for, or this machine's.
func loose(name, platform string, t tree, progress func(int)) (*Image, error) {
	p, err := ParsePlatform(platform)
	if err != nil {
		return nil, err
	}
	m := &Image{
		Name: name, Layers: []v1.Descriptor{{MediaType: v1.MediaTypeImageLayer}}, Blobs: noBlobs{},
		tree: t, progress: progress,
	}
	m.Spec.Platform = p
	m.Spec.RootFS = v1.RootFS{Type: "layers", DiffIDs: make([]ref.Digest, 1)}
	return m, nil
}

// noBlobs are those of a loose image.
type noBlobs struct{}

// Open implements [Blobs].
func (noBlobs) Open(context.Context, v1.Descriptor) (io.ReadCloser, error) {
	return nil, fault.Errorf(fault.Invalid, "a folder or a file has no blobs")
}

// walkTree walks the one layer of a loose image.
func (m *Image) walkTree(ctx context.Context, caps Caps, fn func(Entry, io.Reader) error) (Walked, error) {
	w := &treeWalk{ctx: ctx, caps: caps.fill(), fn: fn, progress: m.progress}
	err := m.tree.entries(w)
	if err == nil {
		err = w.unread()
	}
	if err != nil {
		err = fmt.Errorf("layer 0 (): %w", err)
	}
	return w.walked, err
}

// treeWalk is one walk of a loose image. What cannot be read is noted and does
// not end it.
type treeWalk struct {
	ctx      context.Context //nolint:containedctx // of one call of Walk
	caps     Caps
	fn       func(Entry, io.Reader) error
	progress func(int) // or nil
	walked   Walked
	read     int64 // bytes
	problems int
	first    error // of the problems
	head     [treeHead]byte
}

// treeHead is how much of a file is read before it is handed out, bytes: more
// than anybody needs to tell what it is. So a file that turns out shorter than
// it said to be is handed out as short as it is.
const treeHead = 4 << 10

// failed notes that path could not be read.
func (w *treeWalk) failed(path string, err error) {
	if w.caps.Refused != nil {
		w.caps.Refused(path, err)
		return
	}
	if w.problems++; w.first == nil {
		w.first = fmt.Errorf("%q: %w", path, err)
	}
}

// unread is the error that says what could not be read.
func (w *treeWalk) unread() error {
	switch w.problems {
	case 0:
		return nil
	case 1:
		return fault.Errorf(fault.Invalid, "%w", w.first)
	}
	return fault.Errorf(fault.Invalid, "%w; %d more could not be read", w.first, w.problems-1)
}

// next counts an entry, and returns why the walk must end if it must.
func (w *treeWalk) next() error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if w.walked.Count++; w.walked.Count > w.caps.Entries {
		return fault.Errorf(fault.Invalid, "more than %d entries", w.caps.Entries)
	}
	return nil
}

// regular hands out a file, whose content f is.
func (w *treeWalk) regular(e Entry, f io.Reader) error {
	r := &treeReader{walk: w, path: e.Path, file: f, left: e.Size}
	n, err := io.ReadFull(r, w.head[:min(e.Size, treeHead)])
	switch {
	case r.over != nil:
		return r.over
	case err != nil:
		e.Size, r.left = int64(n), 0
	}
	w.walked.Size += e.Size
	r.head = w.head[:n]
	if err := w.fn(e, r); r.over == nil {
		return err
	}
	return r.over
}

// treeReader reads one file, and ends it where it cannot be read.
type treeReader struct {
	walk *treeWalk
	path string
	head []byte // read already
	file io.Reader
	left int64 // bytes of file
	over error // why the whole walk must end
}

// Read implements [io.Reader].
func (r *treeReader) Read(p []byte) (int, error) {
	if len(r.head) > 0 {
		n := copy(p, r.head)
		r.head = r.head[n:]
		return n, nil
	}
	if r.over == nil {
		r.over = r.walk.ctx.Err()
	}
	switch {
	case r.over != nil:
		return 0, r.over
	case r.left == 0:
		return 0, io.EOF
	}
	n, err := r.file.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	if err != nil && r.left > 0 {
		r.cut(err)
	}
	return n, r.count(n, err)
}

// cut notes that the file ends before its size.
func (r *treeReader) cut(err error) {
	if errors.Is(err, io.EOF) {
		err = errors.New("it became shorter while it was read")
	}
	r.left = 0
	r.walk.failed(r.path, err)
}

// count counts n bytes, and returns what Read returns if the file gave err.
func (r *treeReader) count(n int, err error) error {
	w := r.walk
	if w.progress != nil {
		w.progress(n)
	}
	if w.read += int64(n); w.read > w.caps.Bytes {
		r.over = fault.Errorf(fault.Invalid, "more than %d bytes to read", w.caps.Bytes)
		return r.over
	}
	if err != nil {
		return io.EOF
	}
	return nil
}

// nothing is what entries hold that are not regular files.
type nothing struct{}

// Read implements [io.Reader].
func (nothing) Read([]byte) (int, error) { return 0, io.EOF }
