package audit

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
	"plimsoll/internal/verdict"
)

// Config is what a log needs besides its folder.
type Config struct {
	Now  func() time.Time // the clock; nil: the machine's
	Rand io.Reader        // for the log's key at first use; nil: crypto/rand
}

// Log is an open log. Its methods may be called concurrently, and several
// processes may have one log open: each write takes the log's lock.
type Log struct {
	config   Config
	root     *os.Root
	lock     *os.File
	turn     chan struct{} // holds one token: whoever has it may use what follows
	signer   note.Signer
	verifier note.Verifier

	journal    journal
	checkpoint []byte
	tree       tlog.Tree // under the checkpoint
	pending    [][]byte  // entries tree.N, tree.N+1, … as in the journal
	publishing error     // of the last attempt that Record made
}

// Open opens the log in the folder dir, and makes it, with a key of its own, if
// the folder does not exist or is empty. The caller closes it. Untrusted if the
// folder holds what no crash leaves behind.
func Open(ctx context.Context, dir string, config Config) (*Log, error) {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Rand == nil {
		config.Rand = rand.Reader
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.Errorf(fault.Unavailable, "audit log: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fault.Errorf(fault.Unavailable, "audit log: %w", err)
	}
	l := &Log{config: config, root: root, turn: make(chan struct{}, 1)}
	if err := l.open(ctx); err != nil {
		return nil, errors.Join(err, l.release())
	}
	return l, nil
}

func (l *Log) open(ctx context.Context) (err error) {
	const flags = os.O_RDWR | os.O_CREATE
	if l.lock, err = l.root.OpenFile(lockFile, flags, 0o600); err != nil {
		return fault.Errorf(fault.Unavailable, "audit log: %w", err)
	}
	if err := flock(ctx, l.lock, unix.LOCK_EX); err != nil {
		return err
	}
	if err := l.create(); err != nil {
		return errors.Join(err, funlock(l.lock))
	}
	if l.signer, l.verifier, err = openKey(l.root); err != nil {
		return errors.Join(err, funlock(l.lock))
	}
	if l.journal.file, err = l.root.OpenFile(journalFile, flags, 0o600); err != nil {
		return errors.Join(fault.Errorf(fault.Unavailable, "audit log: %w", err), funlock(l.lock))
	}
	return errors.Join(l.refresh(), funlock(l.lock))
}

// create makes key and empty tree where there is no log. It goes on with what a
// crash interrupted, but never makes a key or a tree beside what is left of
// another.
func (l *Log) create() error {
	var has [4]bool
	for i, name := range []string{checkpointFile, keyFile, tileFolder, journalFile} {
		var err error
		if has[i], err = exists(l.root, name); err != nil {
			return err
		}
	}
	switch checkpoint, key := has[0], has[1]; {
	case checkpoint && key:
		return nil
	case checkpoint || has[2] || has[3]:
		return fault.Hint(fault.Errorf(fault.Untrusted, "audit log: the key or the checkpoint was removed from %q", l.root.Name()),
			"put it back from a copy, or move the folder away to begin a new log")
	case !key:
		if err := makeKey(l.root, l.config.Rand); err != nil {
			return err
		}
	}
	signer, _, err := openKey(l.root)
	if err != nil {
		return err
	}
	return l.sign(signer, tlog.Tree{Hash: emptyRoot})
}

// emptyRoot is the root of a tree without leaves: SHA-256 of nothing (RFC 6962
// section 2.1).
var emptyRoot = tlog.Hash{
	0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
	0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
}

// sign makes t the tree under the checkpoint.
func (l *Log) sign(signer note.Signer, t tlog.Tree) error {
	b, err := signCheckpoint(t, signer)
	if err != nil {
		return err
	}
	if err := writeDurably(l.root, checkpointFile, b, 0o644); err != nil {
		return err
	}
	l.checkpoint, l.tree = b, t
	return nil
}

// Name returns the log's name: the origin line of its checkpoints.
func (l *Log) Name() string { return l.verifier.Name() }

// Record writes d and returns when it is on disk. The receipt promises that the
// log holds it at that index from now on.
func (l *Log) Record(ctx context.Context, d *verdict.Decision) (receipt verdict.Receipt, err error) {
	err = l.hold(ctx, func() error {
		index := l.tree.N + int64(len(l.pending))
		entry, err := encodeDecision(index, l.config.Now(), d)
		if err != nil {
			return err
		}
		if err := l.add(entry); err != nil {
			return err
		}
		leaf := tlog.RecordHash(entry)
		receipt = verdict.Receipt{Log: l.Name(), Index: index, Leaf: base64.StdEncoding.EncodeToString(leaf[:])}
		if len(l.pending) >= maxPending {
			l.publishing = l.publish() // the promise stands all the same; Close tries again
		}
		return nil
	})
	return receipt, err
}

// add appends an entry to the journal. A journal that could not be published for
// long is not let grow without end.
func (l *Log) add(entry []byte) error {
	if len(l.pending) >= 2*maxPending {
		return fault.Errorf(fault.Unavailable, "audit log: too much is unpublished: %w", l.publishing)
	}
	if err := l.journal.append(entry); err != nil {
		return err
	}
	l.pending = append(l.pending, entry)
	return nil
}

// Publish moves what is promised under a new checkpoint.
func (l *Log) Publish(ctx context.Context) error { return l.hold(ctx, l.publish) }

// Close publishes and closes. What was promised stands even if that fails.
func (l *Log) Close(ctx context.Context) error {
	return errors.Join(l.Publish(ctx), l.release())
}

func (l *Log) release() error {
	err := l.root.Close()
	for _, f := range []*os.File{l.lock, l.journal.file} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// hold runs fn while no other goroutine and no other process writes.
func (l *Log) hold(ctx context.Context, fn func() error) error {
	if err := ctx.Err(); err != nil {
		return fault.Errorf(fault.Unavailable, "audit log: %w", err)
	}
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return fault.Errorf(fault.Unavailable, "audit log: %w", ctx.Err())
	}
	defer func() { <-l.turn }()
	if err := flock(ctx, l.lock, unix.LOCK_EX); err != nil {
		return err
	}
	err := l.refresh()
	if err == nil {
		err = fn()
	}
	return errors.Join(err, funlock(l.lock))
}

// refresh reads checkpoint and journal again if another process wrote them, and
// removes what a crash left at the journal's end.
func (l *Log) refresh() error {
	b, err := readSmall(l.root, checkpointFile)
	if err != nil {
		return err
	}
	info, err := l.journal.file.Stat()
	if err != nil {
		return fault.Errorf(fault.Unavailable, "audit log: %w", err)
	}
	if bytes.Equal(b, l.checkpoint) && info.Size() == l.journal.size && l.pending != nil {
		return nil
	}
	if l.tree, err = OpenCheckpoint(b, l.verifier); err != nil {
		return err
	}
	l.checkpoint = b
	return l.replay()
}

// replay takes the journal's entries that are not under the checkpoint yet.
func (l *Log) replay() error {
	b, err := l.journal.read()
	if err != nil {
		return err
	}
	entries, tail, err := parseJournal(b)
	if err != nil {
		return err
	}
	if l.pending, err = unpublished(entries, l.tree.N); err != nil {
		return err
	}
	l.journal.size = int64(len(b))
	if len(tail) == 0 {
		return nil
	}
	if err := l.journal.truncate(int64(len(b) - len(tail))); err != nil {
		return err
	}
	entry, err := encodeRecovery(l.tree.N+int64(len(l.pending)), l.config.Now(), tail)
	if err != nil {
		return err
	}
	return l.add(entry)
}

// unpublished returns the entries from index size on. Untrusted if there is a
// gap between them and the tree, or among them.
func unpublished(entries [][]byte, size int64) ([][]byte, error) {
	pending := [][]byte{}
	for i, b := range entries {
		e, err := ParseEvent(b)
		if err != nil {
			return nil, fault.Errorf(fault.Untrusted, "audit log: the journal's line %d: %w", i+1, err)
		}
		if e.Index < size && len(pending) == 0 {
			continue // published before a crash could empty the journal
		}
		if e.Index != size+int64(len(pending)) {
			return nil, fault.Errorf(fault.Untrusted, "audit log: the journal's line %d is event %d, want %d", i+1, e.Index, size+int64(len(pending)))
		}
		pending = append(pending, b)
	}
	return pending, nil
}
