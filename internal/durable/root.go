//go:build unix

package durable

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// WriteIn is [WriteFile] for the file name below dir, which nothing leaves.
func WriteIn(dir *os.Root, name string, b []byte, perm fs.FileMode) error {
	temp := path.Join(path.Dir(name), ".new-"+rand.Text())
	f, err := dir.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write %q: %w", in(dir, name), err)
	}
	if err = fill(f, b, perm); err == nil {
		err = dir.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %q: %w", in(dir, name), err), dir.Remove(temp))
	}
	return SyncIn(dir, path.Dir(name))
}

// SyncIn is [SyncFolder] for the folder name below dir.
func SyncIn(dir *os.Root, name string) error {
	d, err := dir.Open(name)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync folder %q: %w", in(dir, name), err)
	}
	return nil
}

// AcquireIn is [Acquire] for the file name below dir.
func AcquireIn(ctx context.Context, dir *os.Root, name string) (*Lock, error) {
	return wait(ctx, in(dir, name), func() (*os.File, error) {
		return dir.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	})
}

func in(dir *os.Root, name string) string { return filepath.Join(dir.Name(), name) }
