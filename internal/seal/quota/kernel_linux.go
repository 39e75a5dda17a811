package quota

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What the kernel is asked and how (linux/dqblk_xfs.h, linux/fs.h, quotactl(2)).
const (
	sector = 512 // bytes: the unit of limits

	setQuota = 'X'<<8 + 4 // Q_XSETQLIM
	getQuota = 'X'<<8 + 3 // Q_XGETQUOTA
	getState = 'X'<<8 + 8 // Q_XGETQSTATV

	ofProjects   = 2 // PRJQUOTA
	projectQuota = 2 // FS_PROJ_QUOTA

	fieldInodeHard, fieldBlockHard = 1 << 1, 1 << 3
	fieldInodeSoft, fieldBlockSoft = 1 << 0, 1 << 2
	fieldLimits                    = fieldInodeHard | fieldBlockHard | fieldInodeSoft | fieldBlockSoft

	projectsCounted, projectsEnforced = 1 << 4, 1 << 5 // FS_QUOTA_PDQ_ACCT, _ENFD

	getAttributes = 0x801c581f // FS_IOC_FSGETXATTR
	setAttributes = 0x401c5820 // FS_IOC_FSSETXATTR
	inherit       = 0x200      // FS_XFLAG_PROJINHERIT
)

// diskQuota is struct fs_disk_quota; counts of blocks are in sectors.
type diskQuota struct {
	Version, Flags             int8
	Fields                     uint16
	ID                         uint32
	BlockHard, BlockSoft       uint64
	InodeHard, InodeSoft       uint64
	BlockCount, InodeCount     uint64
	_                          [2]int32
	_                          [2]uint16
	_                          [4]int8
	RealtimeHard, RealtimeSoft uint64
	RealtimeCount              uint64
	_                          int32
	_                          uint16
	_                          int16
	_                          [8]byte
}

// stateV is struct fs_quota_statv.
type stateV struct {
	Version int8
	_       uint8
	Flags   uint16
	InCore  uint32
	_       [3]struct {
		Inode, Blocks uint64
		Extents, _    uint32
	}
	_ [3]int32
	_ [4]uint16
	_ uint32
	_ [7]uint64
}

// fileAttributes is struct fsxattr.
type fileAttributes struct {
	Flags, ExtentSize, Extents, Project, CowExtentSize uint32
	_                                                  [8]byte
}

// control is quotactl_fd(2).
func control[T diskQuota | stateV](dir *os.File, command int, project uint32, data *T) error {
	_, _, errno := unix.Syscall6(unix.SYS_QUOTACTL_FD, dir.Fd(), uintptr(command<<8|ofProjects), uintptr(project), uintptr(unsafe.Pointer(data)), 0, 0) // #nosec G103 -- of the type that the command takes
	if errno != 0 {
		return errno
	}
	return nil
}

func ioctl(f *os.File, request uint, a *fileAttributes) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), uintptr(request), uintptr(unsafe.Pointer(a))) // #nosec G103 -- of the type that the request takes
	if errno != 0 {
		return errno
	}
	return nil
}
