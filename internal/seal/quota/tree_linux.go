package quota

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
)

const (
	// complete is set on a folder when everything in it has its project's number:
	// what is made later inherits it. Only the host's root can set it.
	complete = "trusted.plimsoll.project"
	// maxDepth bounds the folders within folders; paths end at 4096 bytes, but
	// whoever walks relative to a folder can make deeper ones.
	maxDepth = 4096
	batch    = 256 // names read at a time
)

func openFolder(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// number gives dir and what is in it to project, unless that was done before.
func number(dir *os.File, project uint32) error {
	want := strconv.AppendUint(nil, uint64(project), 10)
	have := make([]byte, 16)
	n, err := unix.Fgetxattr(int(dir.Fd()), complete, have)
	if err == nil && bytes.Equal(have[:n], want) {
		return verify(dir, project)
	}
	if err := give(dir, project, maxDepth); err != nil {
		return err
	}
	return unix.Fsetxattr(int(dir.Fd()), complete, want, 0)
}

// verify reports whether dir still bears its number, which an administrator may
// have changed.
func verify(dir *os.File, project uint32) error {
	a, err := attributes(dir)
	if err != nil {
		return err
	}
	if a.Project != project || a.Flags&inherit == 0 {
		return give(dir, project, maxDepth)
	}
	return nil
}

// give gives a folder to project, itself first, so that what is made in it from
// now on inherits the number, and then what is in it.
func give(dir *os.File, project uint32, depth int) error {
	if depth == 0 {
		return fault.Errorf(fault.Denied, "folders are more than %d deep", maxDepth)
	}
	if err := setProject(dir, project, inherit); err != nil {
		return err
	}
	for {
		names, err := dir.Readdirnames(batch)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := giveEntry(dir, name, project, depth); err != nil {
				return err
			}
		}
	}
}

// giveEntry gives one entry of dir. Whoever owns the files may exchange them at
// any time: what is looked at is what is opened, and never a link, a device or
// another file system.
func giveEntry(dir *os.File, name string, project uint32, depth int) error {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_SYMLINKS}
	at, err := unix.Openat2(int(dir.Fd()), name, &how)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EXDEV), errors.Is(err, unix.ELOOP):
		return nil // gone, mounted over, or a link
	case err != nil:
		return &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer func() { _ = unix.Close(at) }()
	var st unix.Stat_t
	if err := unix.Fstat(at, &st); err != nil {
		return &os.PathError{Op: "stat", Path: name, Err: err}
	}
	kind := st.Mode & unix.S_IFMT
	if kind != unix.S_IFREG && kind != unix.S_IFDIR {
		return nil
	}
	f, err := os.Open("/proc/self/fd/" + strconv.Itoa(at))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if kind == unix.S_IFDIR {
		return give(f, project, depth-1)
	}
	return setProject(f, project, 0)
}

func setProject(f *os.File, project, flags uint32) error {
	a, err := attributes(f)
	if err != nil {
		return err
	}
	if a.Project == project && a.Flags&flags == flags {
		return nil
	}
	a.Project, a.Flags = project, a.Flags|flags
	err = ioctl(f, setAttributes, a)
	if err != nil {
		return fmt.Errorf("set the project: %w", err)
	}
	return nil
}

func attributes(f *os.File) (*fileAttributes, error) {
	var a fileAttributes
	if err := ioctl(f, getAttributes, &a); err != nil {
		return nil, fmt.Errorf("read the project: %w", err)
	}
	return &a, nil
}
