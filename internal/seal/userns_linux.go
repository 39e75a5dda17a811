package seal

import (
	"context"
	"errors"
	"fmt"
	"strconv"

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
// waits, and then is killed. The thread must be locked.
func newUserNamespace(_ context.Context, inside, host idmap.Range) (fd int, err error) {
	var child int
	err = as(host.Base, setReal, func() (err error) {
		child, err = forkWaiting(unix.CLONE_NEWUSER)
		return err
	})
	if child > 0 {
		defer func() { err = errors.Join(err, endChild(child)) }()
	}
	if err == nil {
		err = mapIDs(child, inside, host)
	}
	if err != nil {
		err = fault.Errorf(fault.Unavailable, "make user namespace: %w", err)
		return -1, fault.Hint(err, "user namespaces must be enabled (sysctl user.max_user_namespaces)")
	}
	fd, err = unix.Open("/proc/"+strconv.Itoa(child)+"/ns/user", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open user namespace: %w", err)
	}
	return fd, nil
}

// mapIDs gives the child's user namespace its mapping, for users and groups. That
// setgroups stays allowed is the kernel's default: su and login set groups.
func mapIDs(child int, inside, host idmap.Range) error {
	mapping := fmt.Sprintf("%d %d %d\n", inside.Base, host.Base, host.Size)
	for _, file := range []string{"uid_map", "gid_map"} {
		if err := write("/proc/"+strconv.Itoa(child)+"/"+file, mapping); err != nil {
			return fmt.Errorf("map IDs: %w", err)
		}
	}
	return nil
}

// forkWaiting starts a copy of this process, with one thread, that does nothing
// until it is killed, or this thread ends. It is not dumpable once this process
// has changed its IDs (PR_SET_DUMPABLE), so that nobody but root of the host can
// trace it or look at its descriptors.
//
// The child returns from nothing and calls nothing but the kernel: Go's scheduler
// is not in it. It must neither be preempted nor grow its stack.
//
//go:norace
//go:nosplit
func forkWaiting(flags uintptr) (pid int, err error) {
	parent, _, _ := unix.RawSyscall(unix.SYS_GETPID, 0, 0, 0)
	child, _, errno := unix.RawSyscall6(unix.SYS_CLONE, flags|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	if child != 0 {
		return int(child), nil
	}
	_, _, _ = unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0)
	if now, _, _ := unix.RawSyscall(unix.SYS_GETPPID, 0, 0, 0); now != parent {
		_, _, _ = unix.RawSyscall(unix.SYS_EXIT_GROUP, 1, 0, 0)
	}
	for {
		_, _, _ = unix.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
	}
}

func endChild(pid int) error {
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		return fmt.Errorf("end child: %w", err)
	}
	for {
		_, err := unix.Wait4(pid, nil, 0, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
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
