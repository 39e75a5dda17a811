package rootfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
)

func (u *unpacker) file(e *image.Entry, name string, r io.Reader) error {
	fd, err := unix.Openat(u.parent, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	_, err = io.Copy(f, r)
	if err == nil {
		err = dress(fd, e)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return u.stamp(name, e.Modified)
}

// folder makes a folder, or gives the one that is there its new owner, mode and
// attributes. Its time is set when everything in it has been made.
func (u *unpacker) folder(e *image.Entry, name string) error {
	if err := u.mkdir(name, 0o700); err != nil {
		return err
	}
	u.folders[e.Path] = times(e.Modified)
	return u.onFolder(name, func(fd int) error { return dress(fd, e) })
}

// dress sets owner, mode and attributes, in the order in which none undoes
// another: chown clears setuid bits and file capabilities.
func dress(fd int, e *image.Entry) error {
	if err := unix.Fchown(fd, e.UID, e.GID); err != nil {
		return err
	}
	if err := unix.Fchmod(fd, uint32(e.Mode&0o7777)); err != nil {
		return err
	}
	return attributes(fd, e)
}

// fileCapabilities are those of a program (capabilities(7), "File capability
// extended attribute versioning"): 20 bytes are version 2. Version 3 names a
// user namespace's root, which no image can know.
const (
	fileCapabilities = "security.capability"
	capabilitiesV2   = 20
)

func attributes(fd int, e *image.Entry) error {
	names := make([]string, 0, len(e.Xattrs))
	for name := range e.Xattrs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value := e.Xattrs[name]
		switch {
		case name == fileCapabilities && e.Type == image.Regular && len(value) == capabilitiesV2:
		case strings.HasPrefix(name, "user.") && !strings.HasPrefix(name, "user.overlay."):
		default:
			return fault.Errorf(fault.Invalid, "extended attribute %q (%d bytes) may not come from a layer", name, len(value))
		}
		if err := unix.Fsetxattr(fd, name, []byte(value), 0); err != nil {
			return fmt.Errorf("set extended attribute %q: %w", name, err)
		}
	}
	return nil
}

func (u *unpacker) symlink(e *image.Entry, name string) error {
	if err := bare(e); err != nil {
		return err
	}
	if err := unix.Symlinkat(e.Link, u.parent, name); err != nil {
		return err
	}
	return u.own(e, name)
}

func (u *unpacker) fifo(e *image.Entry, name string) error {
	if err := bare(e); err != nil {
		return err
	}
	mode := uint32(e.Mode & 0o777)
	if err := unix.Mknodat(u.parent, name, unix.S_IFIFO|mode, 0); err != nil {
		return err
	}
	if err := unix.Fchmodat(u.parent, name, mode, 0); err != nil { // what the umask took
		return err
	}
	return u.own(e, name)
}

func bare(e *image.Entry) error {
	for name := range e.Xattrs {
		return fault.Errorf(fault.Invalid, "extended attribute %q on what is neither a file nor a folder", name)
	}
	return nil
}

func (u *unpacker) own(e *image.Entry, name string) error {
	if err := unix.Fchownat(u.parent, name, e.UID, e.GID, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	return u.stamp(name, e.Modified)
}

// link makes a hard link to a file of the same layer.
func (u *unpacker) link(e *image.Entry, name string) error {
	dir, err := u.open(path.Dir(e.Link), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return fmt.Errorf("hard link to %q: %w", e.Link, err)
	}
	defer func() { _ = unix.Close(dir) }() // a descriptor without data
	target := path.Base(e.Link)
	var st unix.Stat_t
	if err := unix.Fstatat(dir, target, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("hard link to %q: %w", e.Link, err)
	}
	if t := st.Mode & unix.S_IFMT; t != unix.S_IFREG && t != unix.S_IFLNK && t != unix.S_IFIFO {
		return fault.Errorf(fault.Invalid, "hard link to %q, which is no file", e.Link)
	}
	return unix.Linkat(dir, target, u.parent, name, 0)
}

func (u *unpacker) stamp(name string, modified time.Time) error {
	ts := times(modified)
	return unix.UtimesNanoAt(u.parent, name, ts[:], unix.AT_SYMLINK_NOFOLLOW)
}

// times returns a time as the file system takes it, from 1970 to what 34 bits
// hold (ext4).
func times(t time.Time) [2]unix.Timespec {
	sec := min(max(t.Unix(), 0), 1<<34-1-1<<31)
	ts := unix.Timespec{Sec: sec, Nsec: int64(t.Nanosecond())}
	return [2]unix.Timespec{ts, ts}
}

// finish gives folders their times, now that nothing is made in them any more.
func (u *unpacker) finish() error {
	for name, ts := range u.folders {
		fd, err := u.open(name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
		if err != nil {
			return kinded(fmt.Errorf("set time of %q: %w", name, err))
		}
		err = unix.UtimesNanoAt(fd, "", ts[:], unix.AT_EMPTY_PATH)
		if err := errors.Join(err, unix.Close(fd)); err != nil {
			return kinded(fmt.Errorf("set time of %q: %w", name, err))
		}
	}
	return nil
}
