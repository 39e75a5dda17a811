package engine

import (
	"archive/tar"
	"errors"
	"io"
	"net/http"
	"os"
	"path"
	"strconv"

	"golang.org/x/sys/unix"
)

// extract unpacks what comes on standard input into the folder that the path
// names. Each name is resolved below the container's root; the last part of it is
// never followed.
func (w *worker) extract() error {
	dest := path.Clean("/" + w.Path)
	fd, err := w.openBelow(dest)
	if err != nil {
		return w.failed(err)
	}
	_ = unix.Close(fd)
	in := tar.NewReader(os.Stdin)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return &failure{http.StatusBadRequest, "plimsoll: archive: " + err.Error()}
		}
		if err := w.entry(dest, h, in); err != nil {
			return w.failed(err)
		}
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // what pads the archive's end
	return w.say(report{Status: http.StatusOK})
}

func (w *worker) entry(dest string, h *tar.Header, body io.Reader) error {
	name := cleanEntry(h.Name)
	if h.Typeflag == tar.TypeXGlobalHeader || name == "" {
		return nil
	}
	at := path.Join(dest, name)
	dir, err := w.folder(dest, path.Dir(at))
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	base := path.Base(at)
	if err := w.makeRoom(dir, base, h.Typeflag == tar.TypeDir); err != nil {
		return err
	}
	if err := w.make(dir, base, dest, h, body); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeLink {
		return nil // the file has owner and times already
	}
	return w.finish(dir, base, h)
}

// folder opens a folder, and makes it and those above it as far as dest if an
// archive left them out.
func (w *worker) folder(dest, name string) (int, error) {
	fd, err := w.openBelow(name)
	if !errors.Is(err, unix.ENOENT) || len(name) <= len(dest) {
		return fd, err
	}
	above, err := w.folder(dest, path.Dir(name))
	if err != nil {
		return -1, err
	}
	defer unix.Close(above)
	if err := unix.Mkdirat(above, path.Base(name), 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
		return -1, err
	}
	return w.openBelow(name)
}

// makeRoom removes what is in the way. A folder and what is none do not replace
// each other.
func (w *worker) makeRoom(dir int, base string, folder bool) error {
	var st unix.Stat_t
	err := unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW)
	switch is := st.Mode&unix.S_IFMT == unix.S_IFDIR; {
	case errors.Is(err, unix.ENOENT):
		return nil
	case err != nil:
		return err
	case is && folder:
		return nil
	case is:
		return errors.New("cannot overwrite directory with non-directory")
	case folder:
		return errors.New("cannot overwrite non-directory with directory")
	}
	return unix.Unlinkat(dir, base, 0)
}

func (w *worker) make(dir int, base, dest string, h *tar.Header, body io.Reader) error {
	switch h.Typeflag {
	case tar.TypeDir:
		if err := unix.Mkdirat(dir, base, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
			return err
		}
		return nil
	case tar.TypeReg:
		return w.writeFile(dir, base, body)
	case tar.TypeSymlink:
		return unix.Symlinkat(h.Linkname, dir, base)
	case tar.TypeLink:
		target := path.Join(dest, cleanEntry(h.Linkname))
		from, err := w.openBelow(path.Dir(target))
		if err != nil {
			return err
		}
		defer unix.Close(from)
		return unix.Linkat(from, path.Base(target), dir, base, 0)
	case tar.TypeFifo:
		return unix.Mknodat(dir, base, unix.S_IFIFO|0o600, 0)
	}
	return errors.New("devices are not copied in")
}

// writeFile makes a file that has its name once it is whole: one whose writing
// ended early, and be it because the helper was killed for the memory that the file
// takes, leaves nothing behind.
func (w *worker) writeFile(dir int, base string, body io.Reader) error {
	fd, err := unix.Openat(dir, ".", unix.O_WRONLY|unix.O_TMPFILE|unix.O_CLOEXEC, 0o600)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return writeNamed(dir, base, body)
	}
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), base)
	_, err = io.Copy(f, body)
	if err == nil {
		// By its name in proc(5): the flag that needs none, AT_EMPTY_PATH, wants a
		// privilege on the host before Linux 6.10.
		err = unix.Linkat(w.files, strconv.Itoa(fd), dir, base, unix.AT_SYMLINK_FOLLOW)
	}
	return errors.Join(err, f.Close())
}

// writeNamed is writeFile where the file system has no files without a name.
func writeNamed(dir int, base string, body io.Reader) error {
	fd, err := unix.Openat(dir, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), base)
	_, err = io.Copy(f, body)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = unix.Unlinkat(dir, base, 0)
	}
	return err
}

// finish gives what was made its owner, mode and time. The owner comes first: the
// kernel takes bits of the mode away when it changes. Where the profile grants no
// setuid files, none come in this way either: the helper has no filter of calls.
func (w *worker) finish(dir int, base string, h *tar.Header) error {
	if err := unix.Fchownat(dir, base, h.Uid, h.Gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	times := []unix.Timespec{unix.NsecToTimespec(h.ModTime.UnixNano()), unix.NsecToTimespec(h.ModTime.UnixNano())}
	if h.Typeflag != tar.TypeSymlink {
		fd, err := openChild(dir, base, unix.O_RDONLY|unix.O_NONBLOCK)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		mode := uint32(h.Mode & 0o7777)
		if !w.Setuid {
			mode &^= unix.S_ISUID | unix.S_ISGID
		}
		if err := unix.Fchmod(fd, mode); err != nil {
			return err
		}
	}
	return unix.UtimesNanoAt(dir, base, times, unix.AT_SYMLINK_NOFOLLOW)
}
