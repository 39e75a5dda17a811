package seal

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
	"plimsoll/internal/idmap"
)

// newUserNamespace makes a user namespace in which the IDs inside are those of
// host outside, and returns a descriptor of it. Its owner is host's first ID: the
// kernel charges what it counts per user to the owner of a namespace, and root's
// account is everybody's.
//
// A namespace with a mapping must have a process while it is made: a child that
// is stopped before its first instruction, and then killed.
func newUserNamespace(ctx context.Context, inside, host idmap.Range) (int, error) {
	m := []syscall.SysProcIDMap{{ContainerID: int(inside.Base), HostID: int(host.Base), Size: int(host.Size)}}
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:                 syscall.CLONE_NEWUSER,
		UidMappings:                m,
		GidMappings:                m,
		GidMappingsEnableSetgroups: true, // su and login set groups
		Ptrace:                     true, // stopped at exec
		Pdeathsig:                  syscall.SIGKILL,
	}
	if err := as(host.Base, setReal, cmd.Start); err != nil {
		err = fault.Errorf(fault.Unavailable, "make user namespace: %w", err)
		return -1, fault.Hint(err, "user namespaces must be enabled (sysctl user.max_user_namespaces), and others may need to execute plimsoll itself (chmod 755)")
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/user", cmd.Process.Pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if killErr := cmd.Process.Kill(); killErr != nil {
		err = errors.Join(err, killErr)
	}
	var killed *exec.ExitError
	if waitErr := cmd.Wait(); waitErr != nil && !errors.As(waitErr, &killed) {
		err = errors.Join(err, waitErr)
	}
	if err != nil {
		return -1, fmt.Errorf("open user namespace: %w", err)
	}
	return fd, nil
}

// as calls f on this thread as the given ID, set by set, with all capabilities
// that the thread has as root. The thread must be locked.
func as(id uint32, set func(id uint32) error, f func() error) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&header, &caps[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	err := set(id)
	if err == nil {
		err = unix.Capset(&header, &caps[0])
	}
	if err == nil {
		err = f()
	}
	return errors.Join(err, set(0), unix.Capset(&header, &caps[0]))
}

// setReal sets the real and effective IDs of this thread alone (not, as package
// syscall would, of all). The saved IDs stay root's, so that it can go back.
func setReal(id uint32) error {
	const keep = 0
	set := func(call uintptr) error {
		if _, _, errno := unix.RawSyscall(call, uintptr(id), uintptr(id), keep); errno != 0 {
			return fmt.Errorf("set IDs to %d: %w", id, errno)
		}
		return nil
	}
	if id == 0 {
		return errors.Join(set(unix.SYS_SETRESUID), set(unix.SYS_SETRESGID))
	}
	return errors.Join(set(unix.SYS_SETRESGID), set(unix.SYS_SETRESUID))
}

// setFiles sets the IDs by which this thread alone accesses files.
func setFiles(id uint32) error {
	return errors.Join(unix.Setfsgid(int(id)), unix.Setfsuid(int(id)))
}
