//go:build unix

// Package durable writes files that survive a crash whole or not at all, and
// locks them against other processes.
package durable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
)

// WriteFile puts b into the file path with the permissions perm, replacing what
// was there: after a crash either the old content is there or the new.
func WriteFile(path string, b []byte, perm fs.FileMode) error {
	dir, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	err = WriteIn(dir, filepath.Base(path), b, perm)
	return errors.Join(err, dir.Close())
}

func fill(f *os.File, b []byte, perm fs.FileMode) error {
	_, err := f.Write(b)
	if err == nil {
		err = f.Chmod(perm)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// ReadFile returns the content of the file path, which must not be longer than
// limit bytes.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read %q: %w", path, err)
	}
	if int64(len(b)) > limit {
		return nil, fault.Errorf(fault.Invalid, "read %q: longer than %d bytes", path, limit)
	}
	return b, nil
}

// SyncFolder makes the names in the folder path durable.
func SyncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync folder %q: %w", path, err)
	}
	return nil
}

// Lock is a file that one process holds at a time (flock(2)). The kernel lets
// go of it when its holder dies.
type Lock struct{ f *os.File }

// retry is how long [Acquire] waits between attempts.
const retry = 20 * time.Millisecond

// Acquire waits until it holds the file path, which it makes if needed, or ctx
// is done.
func Acquire(ctx context.Context, path string) (*Lock, error) {
	return wait(ctx, path, func() (*os.File, error) { return openLock(path) })
}

// TryAcquire returns a nil Lock and no error if another process, or another Lock
// of this one, holds the file path.
func TryAcquire(path string) (*Lock, error) {
	return try(path, func() (*os.File, error) { return openLock(path) })
}

func openLock(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
}

// wait tries until it holds the file that open gives, each time anew: a lock
// file may have been removed and made again.
func wait(ctx context.Context, path string, open func() (*os.File, error)) (*Lock, error) {
	for {
		l, err := try(path, open)
		if l != nil || err != nil {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for another process that holds %q: %w", path, context.Cause(ctx))
		case <-time.After(retry):
		}
	}
}

func try(path string, open func() (*os.File, error)) (*Lock, error) {
	f, err := open()
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return &Lock{f}, nil
	}
	if closed := f.Close(); errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR) {
		return nil, closed
	}
	return nil, fmt.Errorf("lock %q: %w", path, err)
}

// Release lets go of the file.
func (l *Lock) Release() error { return l.f.Close() }
