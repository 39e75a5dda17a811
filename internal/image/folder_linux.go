package image

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

var errMounted = errors.New("another file system is mounted there, which is not entered: it must be named itself")

// passing are file systems that the kernel makes up or that end with the
// machine: nothing in them is part of a root file system.
var passing = map[int64]bool{
	unix.PROC_SUPER_MAGIC: true, unix.SYSFS_MAGIC: true, unix.TMPFS_MAGIC: true, unix.RAMFS_MAGIC: true, unix.DEVPTS_SUPER_MAGIC: true,
	unix.CGROUP_SUPER_MAGIC: true, unix.CGROUP2_SUPER_MAGIC: true, unix.DEBUGFS_MAGIC: true, unix.TRACEFS_MAGIC: true,
	unix.SECURITYFS_MAGIC: true, unix.PSTOREFS_MAGIC: true, unix.BPF_FS_MAGIC: true, unix.EFIVARFS_MAGIC: true,
	unix.HUGETLBFS_MAGIC: true, unix.BINFMTFS_MAGIC: true, unix.SELINUX_MAGIC: true, unix.NSFS_MAGIC: true,
	0x19800202: true, // mqueue
	0x62656570: true, // configfs
	0x65735543: true, // fusectl
}

// mounted says that the files of dir, which another file system holds, are
// missed; nil if it is one that passes.
func mounted(dir *os.Root) error {
	f, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return err
	}
	if passing[int64(st.Type)] { //nolint:unconvert // of another type on other machines
		return nil
	}
	return errMounted
}
