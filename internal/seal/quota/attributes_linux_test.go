package quota_test

import (
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// attributes is struct fsxattr (linux/fs.h).
type attributes struct {
	Flags, ExtentSize, Extents, Project, Cow uint32
	_                                        [8]byte
}

func look(t *testing.T, path string) attributes {
	t.Helper()
	var a attributes
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := a.call(f, 0x801c581f); err != nil {
		t.Fatal(err)
	}
	return a
}

// project asks for what change makes of a file's attributes.
func (c captive) project(change func(*attributes)) error {
	f, err := os.Open(c.Path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	var a attributes
	if err := a.call(f, 0x801c581f); err != nil {
		return err
	}
	change(&a)
	return a.call(f, 0x401c5820)
}

func (a *attributes) call(f *os.File, request uintptr) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, uintptr(unsafe.Pointer(a))); errno != 0 {
		return errno
	}
	return nil
}
