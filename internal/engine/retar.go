package engine

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"path"
	"sync"

	"plimsoll/internal/fault"
)

// rewritten is an archive that is read, judged and written anew on its way.
type rewritten struct {
	*io.PipeReader
	done chan struct{}

	mu  sync.Mutex
	why error
}

// err returns why the archive was not passed on, once it has ended, or nil.
func (r *rewritten) err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.why
}

// Close ends the work and waits for it.
func (r *rewritten) Close() error {
	err := r.PipeReader.Close()
	<-r.done
	return err
}

// retar passes a tar archive, plain or compressed with gzip, entry by entry. see
// is shown each entry and returns what is to be written in its place, nil for
// nothing; it may change the header. An error ends the archive without its end,
// so that nobody takes it for whole.
func retar(from io.Reader, see func(*tar.Header, io.Reader) (io.Reader, error)) *rewritten {
	r, w := io.Pipe()
	out := &rewritten{PipeReader: r, done: make(chan struct{})}
	go func() {
		defer close(out.done)
		err := copyTar(w, from, see)
		if err != nil && !errors.Is(err, io.ErrClosedPipe) {
			out.mu.Lock()
			out.why = err
			out.mu.Unlock()
		}
		_ = w.CloseWithError(err)
	}()
	return out
}

func copyTar(to io.Writer, from io.Reader, see func(*tar.Header, io.Reader) (io.Reader, error)) error {
	buffered := bufio.NewReaderSize(from, 64<<10)
	from = buffered
	if magic, err := buffered.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return fault.Errorf(fault.Invalid, "archive: %w", err)
		}
		from = z
	}
	in, out := tar.NewReader(from), tar.NewWriter(to)
	buf := make([]byte, 64<<10)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fault.Hint(fault.Errorf(fault.Invalid, "archive: %w", err), "send a tar archive, plain or compressed with gzip")
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		body, err := see(h, in)
		if err != nil {
			return err
		}
		if body == nil {
			continue
		}
		h.Format = tar.FormatUnknown
		if err := out.WriteHeader(h); err != nil {
			return fault.Errorf(fault.Invalid, "archive: %w", err)
		}
		if _, err := io.CopyBuffer(out, body, buf); err != nil {
			return err
		}
	}
	return out.Close()
}

// wholeEntry reads an entry that must be a plain file of at most that many bytes.
func wholeEntry(h *tar.Header, r io.Reader, most int64) ([]byte, error) {
	if h.Typeflag != tar.TypeReg || h.Size > most {
		return nil, denied("archive: %q is no plain file of at most %d bytes", clip(h.Name), most)
	}
	return io.ReadAll(io.LimitReader(r, most))
}

// cleanEntry returns an entry's name as a path below the archive's root.
func cleanEntry(name string) string { return path.Clean("/" + name)[1:] }
