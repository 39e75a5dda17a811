package seal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
)

// clone returns a detached copy of the mount that the file or folder fd lies on,
// with fd as its root, IDs mapped by the user namespace users, and the attributes
// attrs (MOUNT_ATTR_…). What cannot be mapped is refused: left as it is, root of
// the container would be root of its files.
func clone(fd, users int, attrs uint64) (int, error) {
	c, err := unix.OpenTree(fd, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return -1, fmt.Errorf("open_tree: %w", err)
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP | attrs, Userns_fd: uint64(users), Propagation: unix.MS_PRIVATE} //nolint:gosec // a descriptor
	if err := unix.MountSetattr(c, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		return -1, errors.Join(fault.Errorf(fault.Unavailable, "this file system cannot map IDs (mount_setattr: %w)", err), unix.Close(c))
	}
	return c, nil
}

// attach puts a detached mount at the path target.
func attach(mount int, target string) error {
	err := unix.MoveMount(mount, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH)
	if err := errors.Join(err, unix.Close(mount)); err != nil {
		return fmt.Errorf("move_mount to %q: %w", target, err)
	}
	return nil
}

// Folders of a container's writable part, in p.Folder or on a file system of
// their own.
const (
	upperDir = "diff"
	workDir  = "work"
)

// mountRoot stacks the layers and the writable folder at rootDir.
func (p *plan) mountRoot(users int) (err error) {
	s := &stack{parent: -1, upper: upperDir, work: workDir, options: []string{"index=off", "metacopy=off"}}
	defer func() { err = errors.Join(err, s.close()) }()
	for _, dir := range slices.Backward(p.Layers) {
		fd, err := openDir(dir)
		if err != nil {
			return err
		}
		s.lowers = append(s.lowers, fd)
	}
	if s.parent, err = p.openWritable(); err != nil {
		return err
	}
	if err := os.Mkdir(rootDir, 0o755); err != nil { //nolint:gosec // the container's root
		return err
	}
	if err := stacking(s, rootDir, users, p.IDs.Base); err != nil {
		return err
	}
	return os.Chdir("/")
}

// openDir opens a folder of ours.
func openDir(dir string) (int, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %q: %w", dir, err)
	}
	return fd, nil
}

// openWritable makes the folders that the container writes into.
func (p *plan) openWritable() (int, error) {
	dir := filepath.Join(p.Folder, writable)
	if p.Storage != "" {
		dir = buildDir + "/disk"
		if err := os.Mkdir(dir, 0o700); err != nil {
			return -1, err
		}
		if err := mountImage(p.Storage, dir); err != nil {
			return -1, err
		}
	}
	for name, mode := range map[string]os.FileMode{upperDir: 0o755, workDir: 0o700} {
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, mode); err != nil {
			return -1, err
		}
		if err := os.Chmod(path, mode); err != nil { // whatever the umask took
			return -1, err
		}
	}
	return openDir(dir)
}

// identity looks the user up in the image's files. Links in them stay in the
// image's root, and what is no plain file is not waited for.
func (p *plan) identity() (id Identity, err error) {
	root, err := unix.Open(rootDir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return Identity{}, fmt.Errorf("open root: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Close(root)) }()
	passwd, err := readIn(root, "etc/passwd")
	if err != nil {
		return Identity{}, err
	}
	group, err := readIn(root, "etc/group")
	if err != nil {
		return Identity{}, err
	}
	user := p.User
	if user == "" {
		user = p.Image.User
	}
	return Identify(user, passwd, group)
}

// readIn returns the content of a plain file below the folder root, nil if there
// is none.
func readIn(root int, name string) ([]byte, error) {
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	fd, err := unix.Openat2(root, name, &how)
	if slices.ContainsFunc([]error{unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.ENXIO}, func(e error) bool { return errors.Is(err, e) }) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open %q in the image: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		return nil, f.Close()
	}
	b := make([]byte, maxAccounts+1)
	n := 0
	if err == nil {
		n, err = readFull(f, b)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read %q in the image: %w", name, err)
	}
	if n > maxAccounts {
		return nil, fault.Errorf(fault.Invalid, "%q in the image is longer than %d bytes", name, maxAccounts)
	}
	return b[:n], nil
}
