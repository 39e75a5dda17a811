package trust

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
)

// writeFile replaces the file name below dir: temporary file, fsync, rename,
// fsync of the folder. After a crash the old or the new content is there.
func writeFile(dir *os.Root, name string, b []byte, perm fs.FileMode) error {
	temp := path.Join(path.Dir(name), ".new-"+rand.Text())
	if err := writeTemp(dir, temp, b, perm); err != nil {
		return errors.Join(unwritable(name, err), ignoreMissing(dir.Remove(temp)))
	}
	if err := dir.Rename(temp, name); err != nil {
		return errors.Join(unwritable(name, err), ignoreMissing(dir.Remove(temp)))
	}
	return unwritable(name, syncDir(dir, path.Dir(name)))
}

func writeTemp(dir *os.Root, name string, b []byte, perm fs.FileMode) error {
	f, err := dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncDir(dir *os.Root, name string) error {
	d, err := dir.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// removeFile removes the file name durably; one that is not there is no error.
func removeFile(dir *os.Root, name string) error {
	if err := ignoreMissing(dir.Remove(name)); err != nil {
		return unwritable(name, err)
	}
	return unwritable(name, syncDir(dir, path.Dir(name)))
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

func unwritable(name string, err error) error {
	if err == nil {
		return nil
	}
	return fault.As(fault.Unavailable, fmt.Errorf("write %q: %w", name, err))
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
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
// callers in this one until the file is closed. It waits as long as ctx allows.
func lockFile(ctx context.Context, dir *os.Root, name string) (*os.File, error) {
	f, err := dir.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fault.As(fault.Unavailable, fmt.Errorf("lock %q: %w", name, err)), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fault.As(fault.Unavailable, fmt.Errorf("wait for another process that holds %q: %w", f.Name(), ctx.Err())), f.Close())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
