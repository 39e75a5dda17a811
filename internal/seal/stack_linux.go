package seal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
)

// stack is an overlay that is to be mounted from folders whose IDs are mapped
// first, because an overlay cannot be mapped itself.
type stack struct {
	lowers      []int // descriptors of the layers' folders, top first
	parent      int   // of the folder that upper and work lie in; negative: nothing can be written
	upper, work string
	options     []string // beside those of the layers, "key=value" or "key"
}

// close closes what is open; the stack stays mounted.
func (s *stack) close() (err error) {
	for _, fd := range s.lowers {
		err = errors.Join(err, unix.Close(fd))
	}
	if s.parent >= 0 {
		err = errors.Join(err, unix.Close(s.parent))
	}
	return err
}

// stacker is a way to mount a stack at the folder target.
type stacker func(s *stack, target string, users int, base uint32) error

// stacking is the way that is used, which tests exchange.
var stacking stacker = stackSome

// maxOptions is what mount(2) takes, in bytes.
var maxOptions = os.Getpagesize() - 1

// stackSome mounts by names where they fit, which kernels can do from 5.19 on,
// and otherwise by descriptors, for which they must be of 6.13 or later.
func stackSome(s *stack, target string, users int, base uint32) error {
	if len(s.named()) > maxOptions {
		return stackDescriptors(s, target, users, base)
	}
	return stackNames(s, target, users, base)
}

// named returns the options of mount(2), with names relative to buildDir: short
// ones, which tell the container nothing of its host.
func (s *stack) named() string {
	lowers := make([]string, len(s.lowers))
	for i := range s.lowers {
		lowers[i] = layerName(i)
	}
	options := []string{"lowerdir=" + strings.Join(lowers, ":")}
	if s.parent >= 0 {
		options = append(options, "upperdir="+upperName+"/"+s.upper, "workdir="+upperName+"/"+s.work)
	}
	return strings.Join(append(options, s.options...), ",")
}

const upperName = "u" // in buildDir: the folder of the writable part

func layerName(i int) string { return "l" + strconv.Itoa(i) }

func (s *stack) attributes() uint64 { return unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NODEV }

func stackNames(s *stack, target string, users int, base uint32) error {
	for i, fd := range s.lowers {
		if err := mapAt(fd, filepath.Join(buildDir, layerName(i)), users, s.attributes()); err != nil {
			return err
		}
	}
	if s.parent >= 0 {
		if err := mapAt(s.parent, filepath.Join(buildDir, upperName), users, unix.MOUNT_ATTR_NODEV); err != nil {
			return err
		}
	}
	options := s.named()
	if len(options) > maxOptions {
		return fault.Errorf(fault.Invalid, "%d layers are more than one mount takes", len(s.lowers))
	}
	return inFolder(buildDir, func() error {
		// The mounter's own ID must be one that the mapping knows, or the overlay
		// cannot make its work folder (EOVERFLOW).
		err := as(base, setFiles, func() error {
			return unix.Mount("overlay", target, "overlay", unix.MS_NODEV, options)
		})
		return s.failed(err)
	})
}

func (s *stack) failed(err error) error {
	if err == nil {
		return nil
	}
	err = fault.Errorf(fault.Unavailable, "stack %d layers: %w", len(s.lowers), err)
	return fault.Hint(err, "sealing needs overlayfs over mapped mounts: Linux 5.19 or later, and ext4, xfs or btrfs below the layers")
}

// mapAt mounts the folder dir, with mapped IDs, at the new folder target.
func mapAt(dir int, target string, users int, attrs uint64) error {
	c, err := clone(dir, users, attrs)
	if err != nil {
		return fmt.Errorf("map IDs of %q: %w", pathOf(dir), err)
	}
	if err := os.Mkdir(target, 0o711); err != nil { //nolint:gosec // walked through by the container's first process
		return errors.Join(err, unix.Close(c))
	}
	return attach(c, target)
}

// pathOf returns the path of what a descriptor is open on, for a message.
func pathOf(fd int) string {
	path, err := os.Readlink(fdPath(fd))
	if err != nil {
		return "descriptor " + strconv.Itoa(fd)
	}
	return path
}

func fdPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// inFolder calls f with dir as this process's working folder.
func inFolder(dir string, f func() error) (err error) {
	before, err := unix.Open(".", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open working folder: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Fchdir(before), unix.Close(before)) }()
	if err := os.Chdir(dir); err != nil {
		return err
	}
	return f()
}

// stackDescriptors hands the kernel descriptors of mounts that are attached
// nowhere.
func stackDescriptors(s *stack, target string, users int, base uint32) (err error) {
	fs, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("fsopen overlay: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Close(fs)) }()
	// A mount that is attached nowhere is gone with its last descriptor, which must
	// stay until the overlay has it.
	clones, err := s.clones(users)
	defer func() {
		for _, c := range clones {
			err = errors.Join(err, unix.Close(c))
		}
	}()
	if err != nil {
		return err
	}
	for _, c := range clones[:len(s.lowers)] {
		if err := s.set(fs, "lowerdir+", c, ""); err != nil {
			return err
		}
	}
	for _, c := range clones[len(s.lowers):] { // the writable folders must be on one mount
		if err := s.set(fs, "upperdir", c, s.upper); err != nil {
			return err
		}
		if err := s.set(fs, "workdir", c, s.work); err != nil {
			return err
		}
	}
	for _, o := range s.options {
		if err := configure(fs, o); err != nil {
			return s.failed(fmt.Errorf("option %q: %w%s", o, err, reason(fs)))
		}
	}
	mount := -1
	err = as(base, setFiles, func() (err error) {
		if err = unix.FsconfigCreate(fs); err == nil {
			mount, err = unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NODEV)
		}
		return err
	})
	if err != nil {
		return s.failed(fmt.Errorf("%w%s", err, reason(fs)))
	}
	return attach(mount, target)
}

func configure(fs int, option string) error {
	if k, v, ok := strings.Cut(option, "="); ok {
		return unix.FsconfigSetString(fs, k, v)
	}
	return unix.FsconfigSetFlag(fs, option)
}

// clones returns mapped copies of the mounts of the layers, and of that of the
// writable folders, if there are such, as the last. With an error too it returns
// what must be closed.
func (s *stack) clones(users int) (all []int, err error) {
	add := func(dir int, attrs uint64) {
		c, cloneErr := clone(dir, users, attrs)
		if cloneErr != nil {
			err = errors.Join(err, fmt.Errorf("map IDs of %q: %w", pathOf(dir), cloneErr))
			return
		}
		all = append(all, c)
	}
	for _, fd := range s.lowers {
		add(fd, s.attributes())
	}
	if s.parent >= 0 {
		add(s.parent, unix.MOUNT_ATTR_NODEV)
	}
	return all, err
}

// set sets a layer: the folder name, "" for itself, in a mapped mount.
func (s *stack) set(fs int, key string, mount int, name string) (err error) {
	fd := mount
	if name != "" {
		if fd, err = unix.Openat(mount, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0); err != nil {
			return fmt.Errorf("open %s: %w", key, err)
		}
		defer func() { err = errors.Join(err, unix.Close(fd)) }()
	}
	if err := unix.FsconfigSetFd(fs, key, fd); err != nil {
		return s.failed(fmt.Errorf("%s by descriptor: %w%s", key, err, reason(fs)))
	}
	return nil
}

// reason returns what the kernel says about a mount that it refused.
func reason(fs int) string {
	b := make([]byte, 1024)
	var all strings.Builder
	for all.Len() < len(b) {
		n, err := unix.Read(fs, b)
		if err != nil || n <= 0 {
			break
		}
		all.WriteString(" (" + strings.TrimSpace(string(b[:n])) + ")")
	}
	return all.String()
}
