package seal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// removeTree removes the folder path and all that is in it, the lock file of a
// container's folder last. It needs two descriptors and no stack, however deep a
// container made its folders: a folder that is not empty is moved up, next to the
// others, until its turn comes. It is no error if another process does the same.
func removeTree(path string) (err error) {
	top, err := openFolder(unix.AT_FDCWD, path)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove %q: %w", path, err)
	}
	r := &remover{top: int(top.Fd())}
	err = r.empty(top)
	for err == nil && r.next < r.moved {
		name := movedName(r.next)
		r.next++
		err = r.folder(name)
	}
	err = errors.Join(err, ignore(unix.Unlinkat(r.top, lockFile, 0), unix.ENOENT), top.Close())
	if err == nil {
		// Not empty: whoever looks after dead containers found it without its lock
		// just now, made that again, and removes both.
		err = ignore(unix.Rmdir(path), unix.ENOENT, unix.ENOTEMPTY)
	}
	if err != nil {
		return fmt.Errorf("remove %q: %w", path, err)
	}
	return nil
}

// remover moves folders into the folder top, under numbers.
type remover struct {
	top         int
	next, moved int
}

func movedName(n int) string { return "." + strconv.Itoa(n) }

// folder removes the folder name in top.
func (r *remover) folder(name string) error {
	f, err := openFolder(r.top, name)
	if err != nil {
		return ignore(err, unix.ENOENT)
	}
	if err := errors.Join(r.empty(f), f.Close()); err != nil {
		return err
	}
	return ignore(unix.Unlinkat(r.top, name, unix.AT_REMOVEDIR), unix.ENOENT)
}

// empty removes what is in the folder f, or moves it to top.
func (r *remover) empty(f *os.File) error {
	for {
		names, err := f.Readdirnames(1024)
		if errors.Is(err, io.EOF) || errors.Is(err, unix.ENOENT) { // the other process removed it
			return nil
		}
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := r.entry(int(f.Fd()), name); err != nil {
				return fmt.Errorf("%q: %w", name, err)
			}
		}
	}
}

func (r *remover) entry(dir int, name string) error {
	if dir == r.top && name == lockFile {
		return nil
	}
	err := unix.Unlinkat(dir, name, 0)
	if !errors.Is(err, unix.EISDIR) {
		return ignore(err, unix.ENOENT)
	}
	err = unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
	if !errors.Is(err, unix.ENOTEMPTY) {
		return ignore(err, unix.ENOENT)
	}
	for {
		to := movedName(r.moved)
		r.moved++
		// Not replacing: an earlier removal may have ended half-way.
		err = unix.Renameat2(dir, name, r.top, to, unix.RENAME_NOREPLACE)
		if !errors.Is(err, unix.EEXIST) {
			return ignore(err, unix.ENOENT)
		}
	}
}

func openFolder(dir int, name string) (*os.File, error) {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// ignore returns nil for an error that is one of those.
func ignore(err error, those ...unix.Errno) error {
	for _, e := range those {
		if errors.Is(err, e) {
			return nil
		}
	}
	return err
}
