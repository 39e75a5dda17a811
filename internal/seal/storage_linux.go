package seal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
)

// newImage makes a file at path that holds an empty file system of size bytes.
// The file is sparse: it takes from the disk only what is written into it. It has
// no journal, for it does not outlive its container.
func newImage(ctx context.Context, path string, size int64) error {
	mke2fs, err := findMke2fs()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		return fmt.Errorf("make storage of %d bytes: %w", size, err)
	}
	cmd := exec.CommandContext(ctx, mke2fs, "-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0", "-O", "^has_journal",
		"-E", "lazy_itable_init=1,nodiscard,root_owner=0:0", path)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fault.Errorf(fault.Unavailable, "make storage of %d bytes: mke2fs: %w: %q", size, err, strings.TrimSpace(string(out)))
	}
	return nil
}

func findMke2fs() (string, error) {
	for _, name := range []string{"mke2fs", "/usr/sbin/mke2fs", "/sbin/mke2fs"} {
		if path, err := exec.LookPath(name); err == nil {
			return filepath.Abs(path)
		}
	}
	return "", fault.Hint(fault.Errorf(fault.Unavailable, "the profile limits storage, and mke2fs is not installed"), "apt-get install e2fsprogs")
}

// attempts to get a loop device that another process does not take first.
const loopAttempts = 32

// mountImage mounts the file system in the file image at dir. The kernel lets go
// of the loop device when the mount does.
func mountImage(image, dir string) (err error) {
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	loop, err := attachLoop(f)
	if err != nil {
		return fault.Hint(fault.Errorf(fault.Unavailable, "the profile limits storage, which needs a loop device: %w", err), "modprobe loop")
	}
	defer func() { err = errors.Join(err, loop.Close()) }()
	if err := unix.Mount(loop.Name(), dir, "ext4", unix.MS_NODEV|unix.MS_NOATIME, ""); err != nil {
		return fault.Errorf(fault.Unavailable, "mount storage: %w", err)
	}
	return nil
}

func attachLoop(image *os.File) (loop *os.File, err error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, control.Close()) }()
	for range loopAttempts {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("get a free loop device: %w", err)
		}
		loop, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		config := unix.LoopConfig{Fd: uint32(image.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}} //nolint:gosec // a descriptor
		err = unix.IoctlLoopConfigure(int(loop.Fd()), &config)
		if err == nil {
			return loop, nil
		}
		if err := errors.Join(err, loop.Close()); !errors.Is(err, unix.EBUSY) {
			return nil, fmt.Errorf("configure loop device: %w", err)
		}
	}
	return nil, fmt.Errorf("others took %d loop devices first", loopAttempts)
}
