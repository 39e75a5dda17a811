package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// Walked is what was read of a layer.
type Walked struct {
	Blob   ref.Digest // of the bytes as they came
	DiffID ref.Digest // of the plain tar
	Size   int64      // of the plain tar, bytes
	Count  int        // entries
}

// Walk reads layer i once and calls fn for each of its entries, in order. The
// reader holds a regular file's content, is valid until fn returns, and need
// not be read.
//
// Every byte of the blob and of the plain tar is hashed, whatever fn reads. Walk
// returns Untrusted if the bytes are not those that the manifest and the config
// name, also where that made them malformed; Invalid if they are malformed, over
// caps, compressed otherwise than the media type says, or hide content behind
// the end of the tar; and otherwise what opening, reading or fn returned. With
// an error, what fn was given must not be trusted, and Walked says how much was
// read; Blob is set only if the blob was read whole and is right, DiffID only
// without an error.
//
// The layer of a loose image has no digests to check. What in it cannot be read
// does not end the walk: Caps.Refused is told or, if it is nil, an Invalid error
// says so at the end.
func (m *Image) Walk(ctx context.Context, i int, caps Caps, fn func(Entry, io.Reader) error) (Walked, error) {
	if i < 0 || i >= len(m.Layers) {
		return Walked{}, fault.Errorf(fault.Invalid, "layer %d of %d", i, len(m.Layers))
	}
	if m.Loose() {
		return m.walkTree(ctx, caps, fn)
	}
	w := &walk{caps: caps.fill(), fn: fn}
	if err := w.run(ctx, m, i); err != nil {
		return w.walked, fmt.Errorf("layer %d (%s): %w", i, m.Layers[i].Digest, err)
	}
	return w.walked, nil
}

// walk is one run over one layer.
type walk struct {
	caps    Caps
	fn      func(Entry, io.Reader) error
	fnErr   error // what fn returned, if it was not about reading
	logical int64 // bytes of all files, holes of sparse ones included
	walked  Walked
}

func (w *walk) run(ctx context.Context, m *Image, i int) error {
	d := m.Layers[i]
	compressed, err := layerType(d)
	if err != nil {
		return err
	}
	if d.Size > w.caps.Bytes {
		return fault.Errorf(fault.Invalid, "blob of %d bytes: more than %d", d.Size, w.caps.Bytes)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	blob, err := m.Blobs.Open(ctx, d)
	if err != nil {
		return err
	}
	s := startStream(ctx, blob, d.Digest, compressed, w.caps)
	err = w.entries(s)
	if w.fnErr != nil {
		cancel() // whoever stops early does not want to wait for the rest
		_ = s.stop(false)
	} else if cause := s.stop(err != nil); cause != nil {
		// Wrong bytes look malformed, so what the blob turns out to be decides.
		err = cause
	}
	w.walked.Size = s.n
	if s.whole() {
		w.walked.Blob = d.Digest
	}
	if err != nil {
		return err
	}
	return w.diffID(m, i, s)
}

// diffID compares the plain bytes' digest with what the config claims.
func (w *walk) diffID(m *Image, i int, s *stream) error {
	got := s.digest()
	if claims := m.Spec.RootFS.DiffIDs; i < len(claims) && claims[i] != got {
		return fault.Errorf(fault.Untrusted, "the config says diff ID %s, the bytes have %s", claims[i], got)
	}
	w.walked.DiffID = got
	return nil
}

// entries hands fn all entries of the tar and reads what follows its end.
func (w *walk) entries(s *stream) error {
	tr := tar.NewReader(s)
	r := &content{tar: tr}
	for {
		h, err := tr.Next()
		switch {
		case errors.Is(err, io.EOF):
			return s.zeros()
		case err != nil:
			return fault.Errorf(fault.Invalid, "tar entry %d: %w", w.walked.Count+1, err)
		}
		if err := w.entry(h, r); err != nil {
			return fmt.Errorf("entry %q: %w", h.Name, err)
		}
	}
}

func (w *walk) entry(h *tar.Header, r *content) error {
	w.walked.Count++
	if entryTypes[h.Typeflag] == Regular { // links may repeat their target's size
		w.logical += h.Size
	}
	switch {
	case w.walked.Count > w.caps.Entries:
		return fault.Errorf(fault.Invalid, "more than %d entries", w.caps.Entries)
	case w.logical > w.caps.Bytes:
		return fault.Errorf(fault.Invalid, "files of more than %d bytes together", w.caps.Bytes)
	case h.Typeflag == tar.TypeXGlobalHeader:
		return globalHeader(h)
	}
	e, err := newEntry(h)
	if err != nil && w.caps.Refused != nil {
		w.caps.Refused(h.Name, err)
		return nil
	}
	if err != nil {
		return err
	}
	r.on = e.Type == Regular
	err = w.fn(e, r)
	if r.err != nil {
		return r.err
	}
	w.fnErr = err
	return err
}

// globalHeader refuses PAX headers for all following entries that would rename
// or resize them: engines pass over them, other readers of tar do not. A mere
// comment, as git writes one, is let through.
func globalHeader(h *tar.Header) error {
	for key := range h.PAXRecords {
		if key != "comment" {
			return fault.Errorf(fault.Invalid, "global header sets %q, which readers take differently", key)
		}
	}
	return nil
}
