package trust

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
)

// writeFile replaces the file name below dir: see [durable.WriteIn].
func writeFile(dir *os.Root, name string, b []byte, perm fs.FileMode) error {
	return fault.As(fault.Unavailable, durable.WriteIn(dir, name, b, perm))
}

// removeFile removes the file name durably; one that is not there is no error.
func removeFile(dir *os.Root, name string) error {
	err := dir.Remove(name)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = durable.SyncIn(dir, path.Dir(name))
	}
	return fault.As(fault.Unavailable, err)
}

// readFile returns the file name, of at most limit bytes; NotFound if there is
// none.
func readFile(dir *os.Root, name string, limit int64) ([]byte, error) {
	f, err := dir.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Errorf(fault.NotFound, "no file %q", name)
	} else if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	b, err := readAll(f, name, limit)
	return b, errors.Join(err, f.Close())
}

// readAll reads r to its end, of at most limit bytes.
func readAll(r io.Reader, name string, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return nil, fault.As(fault.Unavailable, fmt.Errorf("read %q: %w", name, err))
	case int64(len(b)) > limit:
		return nil, fault.Errorf(fault.Untrusted, "%q is longer than %d bytes", name, limit)
	}
	return b, nil
}

// openDir opens the folder at name, made if missing, as a root that nothing
// leaves.
func openDir(name string) (*os.Root, error) {
	if err := os.MkdirAll(name, 0o700); err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	dir, err := os.OpenRoot(name)
	if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	return dir, nil
}

// subDir is [openDir] below dir.
func subDir(dir *os.Root, name string) (*os.Root, error) {
	if err := dir.MkdirAll(name, 0o700); err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	sub, err := dir.OpenRoot(name)
	if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	return sub, nil
}

// lockFile holds the lock called name in dir against other processes and other
// callers in this one. It waits as long as ctx allows.
func lockFile(ctx context.Context, dir *os.Root, name string) (*durable.Lock, error) {
	l, err := durable.AcquireIn(ctx, dir, name)
	return l, fault.As(fault.Unavailable, err)
}
