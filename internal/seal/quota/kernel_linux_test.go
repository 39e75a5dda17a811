package quota

import (
	"testing"
	"unsafe"
)

// The sizes are those of the kernel's structures on every 64-bit processor.
func TestKernelStructures(t *testing.T) {
	for name, sizes := range map[string][2]uintptr{
		"fs_disk_quota":                 {unsafe.Sizeof(diskQuota{}), 112},
		"fs_disk_quota.d_bcount":        {unsafe.Offsetof(diskQuota{}.BlockCount), 40},
		"fs_disk_quota.d_rtb_hardlimit": {unsafe.Offsetof(diskQuota{}.RealtimeHard), 72},
		"fs_quota_statv":                {unsafe.Sizeof(stateV{}), 160},
		"fsxattr":                       {unsafe.Sizeof(fileAttributes{}), 28},
	} {
		if sizes[0] != sizes[1] {
			t.Errorf("%s: %d, want %d", name, sizes[0], sizes[1])
		}
	}
}
