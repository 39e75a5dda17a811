package seal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
)

// kernelFileSystems have files that command the kernel or another process.
var kernelFileSystems = map[int64]string{
	unix.PROC_SUPER_MAGIC: "proc", unix.SYSFS_MAGIC: "sysfs", unix.CGROUP_SUPER_MAGIC: "cgroup", unix.CGROUP2_SUPER_MAGIC: "cgroup2",
	unix.DEVPTS_SUPER_MAGIC: "devpts", unix.DEBUGFS_MAGIC: "debugfs", unix.TRACEFS_MAGIC: "tracefs", unix.SECURITYFS_MAGIC: "securityfs",
	unix.BPF_FS_MAGIC: "bpf", unix.NSFS_MAGIC: "nsfs", unix.SELINUX_MAGIC: "selinuxfs", unix.EFIVARFS_MAGIC: "efivarfs",
}

// mountRequested puts what the request mounts where [Spec] looks for it, mapped
// to the team's own IDs on disk: nothing that the container writes belongs to
// anybody else, and root's files are not its own.
func (p *plan) mountRequested(ctx context.Context) error {
	if len(p.Mounts) == 0 {
		return nil
	}
	users, err := newUserNamespace(ctx, p.Disk, p.IDs)
	if err != nil {
		return err
	}
	for i, m := range p.Mounts {
		if err := p.mountOne(m, mountPoint(i), users); err != nil {
			return err
		}
	}
	return unix.Close(users)
}

// mountOne opens the source first and judges what it opened, so that nobody can
// exchange it in between.
func (p *plan) mountOne(m Mount, target string, users int) (err error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_MAGICLINKS}
	fd, err := unix.Openat2(unix.AT_FDCWD, m.Source, &how)
	if errors.Is(err, unix.ENOENT) {
		return fault.Errorf(fault.NotFound, "mount of %q: %w", m.Source, err)
	}
	if err != nil { // ELOOP: a link of /proc on the way
		return fault.Errorf(fault.Denied, "mount of %q: it cannot be opened: %w", m.Source, err)
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	real, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return fmt.Errorf("mount of %q: %w", m.Source, err)
	}
	readOnly, err := Judge(real, m, p.Profile.Mounts, p.Protected)
	if err != nil {
		return err
	}
	folder, err := mountable(fd)
	if err != nil {
		return fmt.Errorf("mount of %q: %w", m.Source, err)
	}
	attrs := uint64(unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV)
	if readOnly {
		attrs |= unix.MOUNT_ATTR_RDONLY
	}
	c, err := clone(fd, users, attrs)
	if err != nil {
		return fmt.Errorf("mount of %q: %w", m.Source, err)
	}
	if folder {
		err = os.Mkdir(target, 0o711) //nolint:gosec // walked through by the container's first process
	} else {
		err = os.WriteFile(target, nil, 0o600)
	}
	if err != nil {
		return errors.Join(err, unix.Close(c))
	}
	return attach(c, target)
}

// mountable reports whether fd is a folder; what is neither folder nor plain
// file is refused, sockets of engines above all.
func mountable(fd int) (folder bool, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return false, err
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return false, err
	}
	if name, ok := kernelFileSystems[fs.Type]; ok {
		return false, fault.Errorf(fault.Denied, "files of %s belong to the kernel", name)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return true, nil
	case unix.S_IFREG:
		return false, nil
	}
	return false, fault.Errorf(fault.Denied, "it is neither a folder nor a plain file")
}

// readFull reads until b is full or r ends.
func readFull(r io.Reader, b []byte) (int, error) {
	n, err := io.ReadFull(r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return n, nil
	}
	return n, err
}
