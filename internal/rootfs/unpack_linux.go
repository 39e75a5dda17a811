package rootfs

import (
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
	"plimsoll/internal/idmap"
	"plimsoll/internal/image"
)

// unpacker writes the entries of one layer below the folder root.
type unpacker struct {
	root    int                         // descriptor of the folder
	parent  int                         // descriptor of the folder in, -1 if none is open
	in      string                      // path of parent
	folders map[string][2]unix.Timespec // times that finish must still set, by path
	skipped []string
}

const (
	maxDepth   = 256  // path elements
	maxSkipped = 1024 // device nodes in one layer
	opaque     = "trusted.overlay.opaque"
)

func newUnpacker(dir string) (*unpacker, error) {
	root, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", dir, err)
	}
	return &unpacker{root: root, parent: -1, folders: map[string][2]unix.Timespec{}}, unix.Fchmod(root, 0o755)
}

func (u *unpacker) close() error {
	if u.parent >= 0 {
		return errors.Join(unix.Close(u.parent), unix.Close(u.root))
	}
	return unix.Close(u.root)
}

// entry makes one entry; r is the content of a regular file.
func (u *unpacker) entry(e image.Entry, r io.Reader) error {
	if err := u.make(&e, r); err != nil {
		return fmt.Errorf("unpack %q: %w", e.Path, kinded(err))
	}
	return nil
}

// kinded gives what the kernel says about a stranger's names its kind.
func kinded(err error) error {
	for _, bad := range []error{unix.ENOTDIR, unix.EEXIST, unix.ELOOP, unix.ENAMETOOLONG, unix.EISDIR, unix.ENOENT, unix.EXDEV, unix.EINVAL} {
		if errors.Is(err, bad) {
			return fault.As(fault.Invalid, err)
		}
	}
	var errno unix.Errno
	if errors.As(err, &errno) {
		return fault.As(fault.Unavailable, err)
	}
	return err
}

func (u *unpacker) make(e *image.Entry, r io.Reader) error {
	if !filepath.IsLocal(e.Path) || path.Clean(e.Path) != e.Path {
		return fault.Errorf(fault.Invalid, "not a clean path below the root")
	}
	if e.Path == "." && e.Type != image.Directory && e.Type != image.Opaque {
		return fault.Errorf(fault.Invalid, "the root of a layer is a folder")
	}
	if e.Type == image.Char || e.Type == image.Block {
		return u.skip(e.Path)
	}
	if err := u.enter(path.Dir(e.Path)); err != nil {
		return err
	}
	name := path.Base(e.Path)
	switch e.Type {
	case image.Whiteout:
		return u.whiteout(name)
	case image.Opaque:
		return u.opaque(name)
	default: // everything else is an entry with an owner
	}
	if e.UID < 0 || e.GID < 0 || e.UID >= idmap.SlotSize || e.GID >= idmap.SlotSize {
		return fault.Errorf(fault.Invalid, "owner %d:%d: a container has only the IDs 0 to %d", e.UID, e.GID, idmap.SlotSize-1)
	}
	if e.Type == image.Directory {
		return u.folder(e, name)
	}
	if err := u.clear(name); err != nil {
		return err
	}
	switch e.Type {
	case image.Regular:
		return u.file(e, name, r)
	case image.Hardlink:
		return u.link(e, name)
	case image.Symlink:
		return u.symlink(e, name)
	case image.FIFO:
		return u.fifo(e, name)
	default:
		return fault.Errorf(fault.Invalid, "entry of unknown type %d", e.Type)
	}
}

func (u *unpacker) skip(name string) error {
	if len(u.skipped) == maxSkipped {
		return fault.Errorf(fault.Invalid, "more than %d device nodes in one layer", maxSkipped)
	}
	u.skipped = append(u.skipped, name)
	return nil
}

// enter opens the folder dir as parent, and makes it where the layer has not.
func (u *unpacker) enter(dir string) error {
	if u.parent >= 0 && u.in == dir {
		return nil
	}
	fd, err := u.open(dir, unix.O_PATH|unix.O_DIRECTORY)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		fd, err = u.missing(dir)
	}
	if err != nil {
		return err
	}
	if u.parent >= 0 {
		err = unix.Close(u.parent)
	}
	u.parent, u.in = fd, dir
	return err
}

// missing makes the folder dir, which a layer may leave out, as root's own.
func (u *unpacker) missing(dir string) (int, error) {
	if depth(dir) > maxDepth {
		return -1, fault.Errorf(fault.Invalid, "more than %d folders deep", maxDepth)
	}
	if err := u.enter(path.Dir(dir)); err != nil {
		return -1, err
	}
	if err := u.mkdir(path.Base(dir), 0o755); err != nil {
		return -1, err
	}
	return u.open(dir, unix.O_PATH|unix.O_DIRECTORY)
}

func depth(p string) int {
	n := 1
	for ; path.Dir(p) != p && path.Dir(p) != "."; p = path.Dir(p) {
		n++
	}
	return n
}

// open opens a path of the layer. No link in it, nor the path itself, leads out
// of the layer's folder.
func (u *unpacker) open(name string, flags uint64) (int, error) {
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV}
	for {
		fd, err := unix.Openat2(u.root, name, &how)
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) { // EAGAIN: a rename elsewhere, try again
			return fd, err
		}
	}
}

// clear makes room for a new entry: a later entry of a layer replaces an earlier
// one, and a whiteout of the same layer speaks only of the layers below.
func (u *unpacker) clear(name string) error {
	err := unix.Unlinkat(u.parent, name, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if errors.Is(err, unix.EISDIR) {
		return fault.Errorf(fault.Invalid, "the layer already has a folder of this name")
	}
	u.in = "" // it may have been a link on the way to parent
	return err
}

// whiteout hides name of the layers below (OCI image-spec, layer.md,
// "Whiteouts").
func (u *unpacker) whiteout(name string) error {
	var st unix.Stat_t
	err := unix.Fstatat(u.parent, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case errors.Is(err, unix.ENOENT):
		return unix.Mknodat(u.parent, name, unix.S_IFCHR, 0) // device 0:0, overlayfs' own sign for what is removed
	case err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return u.opaque(name)
	}
	return err
}

func (u *unpacker) opaque(name string) error {
	if err := u.mkdir(name, 0o755); err != nil {
		return err
	}
	return u.onFolder(name, func(fd int) error { return unix.Fsetxattr(fd, opaque, []byte("y"), 0) })
}

// mkdir makes the folder name in parent unless it is there. Where a whiteout
// was, the folder hides all that lies below.
func (u *unpacker) mkdir(name string, mode uint32) error {
	if name == "." {
		return nil
	}
	err := unix.Mkdirat(u.parent, name, mode)
	if !errors.Is(err, unix.EEXIST) {
		if err == nil {
			err = u.onFolder(name, func(fd int) error { return unix.Fchmod(fd, mode) })
		}
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstatat(u.parent, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	switch {
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return nil
	case st.Mode&unix.S_IFMT != unix.S_IFCHR:
		return err
	}
	if err := unix.Unlinkat(u.parent, name, 0); err != nil {
		return err
	}
	return u.opaque(name)
}

// onFolder calls f with a descriptor of the folder name in parent.
func (u *unpacker) onFolder(name string, f func(fd int) error) error {
	fd, err := unix.Openat(u.parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return errors.Join(f(fd), unix.Close(fd))
}
