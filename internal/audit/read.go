package audit

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
)

// Reader reads a log or a copy of one. It changes nothing, and writers wait
// until it is closed.
type Reader struct {
	root     *os.Root
	lock     *os.File // nil in a copy that has none
	verifier note.Verifier

	checkpoint []byte
	tree       tlog.Tree
	pending    [][]byte // promised and not yet published
	tail       []byte   // what stands after the journal's last whole line
}

// OpenReader opens the log in the folder dir. Its checkpoint must be signed by
// key, the content of a key.pub; "" takes the folder's own. NotFound if there is
// no log, Untrusted if the checkpoint is not what the key signed.
func OpenReader(ctx context.Context, dir, key string) (*Reader, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fault.Hint(openError(err), "the log begins with the first decision, for instance: plimsoll check IMAGE --environment ENVIRONMENT")
	}
	r := &Reader{root: root}
	if err := r.open(ctx, key); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func openError(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fault.Errorf(fault.NotFound, "there is no audit log: %w", err)
	}
	return fault.Errorf(fault.Unavailable, "audit log: %w", err)
}

func (r *Reader) open(ctx context.Context, key string) (err error) {
	r.lock, err = r.root.Open(lockFile)
	if err == nil {
		err = flock(ctx, r.lock, unix.LOCK_SH)
	} else if errors.Is(err, fs.ErrNotExist) {
		r.lock, err = nil, nil
	}
	if err != nil {
		return openError(err)
	}
	if key == "" {
		b, err := readSmall(r.root, publicFile)
		if err != nil {
			return r.missing(err)
		}
		key = string(b)
	}
	if r.verifier, err = ParseKey(key); err != nil {
		return err
	}
	if r.checkpoint, err = readSmall(r.root, checkpointFile); err != nil {
		return fault.As(fault.Untrusted, err)
	}
	if r.tree, err = OpenCheckpoint(r.checkpoint, r.verifier); err != nil {
		return err
	}
	return r.readJournal()
}

// missing is the error for a log without a file that every log has: it was
// removed, unless the whole folder is empty.
func (r *Reader) missing(err error) error {
	for _, name := range []string{keyFile, checkpointFile, journalFile, tileFolder} {
		if ok, bad := exists(r.root, name); ok || bad != nil {
			return fault.As(fault.Untrusted, err)
		}
	}
	return openError(err)
}

func (r *Reader) readJournal() error {
	f, err := r.root.Open(journalFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fault.Errorf(fault.Unavailable, "audit log: %w", err)
	}
	defer f.Close()
	b, err := (&journal{file: f}).read()
	if err != nil {
		return err
	}
	entries, tail, err := parseJournal(b)
	if err != nil {
		return err
	}
	r.tail = tail
	r.pending, err = unpublished(entries, r.tree.N)
	return err
}

// Close ends reading.
func (r *Reader) Close() error {
	err := r.root.Close()
	if r.lock != nil {
		err = errors.Join(err, r.lock.Close())
	}
	return err
}

// Size returns how many events there are, those included that are promised and
// not yet published.
func (r *Reader) Size() int64 { return r.tree.N + int64(len(r.pending)) }

// Events returns the events from index from on, in order. It ends after the
// first error. What it returns was not checked against the tree: see
// [Reader.Verify].
func (r *Reader) Events(from int64) iter.Seq2[*Event, error] {
	return func(yield func(*Event, error) bool) {
		for index, entry := range r.entries(from) {
			if entry == nil {
				yield(nil, fault.Errorf(fault.Untrusted, "audit log: event %d cannot be read", index))
				return
			}
			e, err := ParseEvent(entry)
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// entries returns entries by index; one that cannot be read is nil, and the
// last.
func (r *Reader) entries(from int64) iter.Seq2[int64, []byte] {
	return func(yield func(int64, []byte) bool) {
		for i := max(from, 0); i < r.tree.N; {
			bundle, err := r.bundle(i / tileWidth)
			if err != nil {
				yield(i, nil)
				return
			}
			for _, entry := range bundle[i%tileWidth:] {
				if !yield(i, entry) {
					return
				}
				i++
			}
		}
		for i, entry := range r.pending {
			if index := r.tree.N + int64(i); index >= from && !yield(index, entry) {
				return
			}
		}
	}
}

// bundle returns the entries of bundle k.
func (r *Reader) bundle(k int64) ([][]byte, error) {
	t := bundleOf(k, r.tree.N)
	b, err := (tiles{r.root}).read(t)
	if err != nil {
		return nil, err
	}
	entries, rest, err := splitBundle(b, t.W)
	if err != nil {
		return nil, fault.Errorf(fault.Untrusted, "audit log: %s: event %d: %w", tilePath(t), k*tileWidth+int64(len(entries)), err)
	}
	if len(rest) > 0 {
		return nil, fault.Errorf(fault.Untrusted, "audit log: %s has %d bytes after its last event", tilePath(t), len(rest))
	}
	return entries, nil
}
