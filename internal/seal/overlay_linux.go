package seal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

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

// mapFolder mounts the folder dir of ours, with mapped IDs, at the new folder
// target.
func mapFolder(dir, target string, users int, attrs uint64) error {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %q: %w", dir, err)
	}
	c, err := clone(fd, users, attrs)
	if err := errors.Join(err, unix.Close(fd)); err != nil {
		return fmt.Errorf("map IDs of %q: %w", dir, err)
	}
	if err := os.Mkdir(target, 0o711); err != nil { //nolint:gosec // walked through by the container's first process
		return err
	}
	return attach(c, target)
}

// Folders of a container's writable part, in p.Folder or on a file system of
// their own.
const (
	upperDir = "diff"
	workDir  = "work"
)

// mountRoot stacks the layers and the writable folder at rootDir. Layers are
// mapped before they are stacked, because an overlay cannot be mapped itself; the
// options name them relative to buildDir, because they must fit on one page.
func (p *plan) mountRoot(users int) error {
	lowers := make([]string, len(p.Layers))
	for i, dir := range p.Layers {
		name := "l" + strconv.Itoa(i)
		if err := mapFolder(dir, filepath.Join(buildDir, name), users, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NODEV); err != nil {
			return err
		}
		lowers[len(lowers)-1-i] = name
	}
	if err := p.mountWritable(users); err != nil {
		return err
	}
	if err := os.Mkdir(rootDir, 0o755); err != nil { //nolint:gosec // the container's root
		return err
	}
	if err := os.Chdir(buildDir); err != nil {
		return err
	}
	options := strings.Join([]string{
		"lowerdir=" + strings.Join(lowers, ":"), "upperdir=u/" + upperDir, "workdir=u/" + workDir, "index=off", "metacopy=off",
	}, ",")
	if len(options) >= os.Getpagesize() {
		return fault.Errorf(fault.Invalid, "%d layers are more than one mount takes", len(lowers))
	}
	// The mounter's own ID must be one that the mapping knows, or the overlay
	// cannot make its work folder (EOVERFLOW).
	err := as(p.IDs.Base, setFiles, func() error {
		return unix.Mount("overlay", rootDir, "overlay", unix.MS_NODEV, options)
	})
	if err != nil {
		err = fault.Errorf(fault.Unavailable, "stack %d layers: %w", len(lowers), err)
		return fault.Hint(err, "sealing needs overlayfs over mapped mounts: Linux 5.19 or later, and ext4, xfs or btrfs under --data")
	}
	return os.Chdir("/")
}

func (p *plan) mountWritable(users int) error {
	dir := filepath.Join(p.Folder, writable)
	if p.Storage != "" {
		dir = buildDir + "/disk"
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		if err := mountImage(p.Storage, dir); err != nil {
			return err
		}
	}
	for name, mode := range map[string]os.FileMode{upperDir: 0o755, workDir: 0o700} {
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, mode); err != nil {
			return err
		}
		if err := os.Chmod(path, mode); err != nil { // whatever the umask took
			return err
		}
	}
	return mapFolder(dir, filepath.Join(buildDir, "u"), users, unix.MOUNT_ATTR_NODEV)
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
