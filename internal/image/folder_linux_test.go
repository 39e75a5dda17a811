package image_test

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
)

// inMounts runs fn where mounts are its own. The thread is not used again.
func inMounts(t *testing.T, fn func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		needs(t, "root, to mount file systems")
	}
	done := make(chan error, 1)
	go func() {
		defer close(done) // also where fn ends the goroutine
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS)
		if err == nil {
			err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}
		if err == nil {
			fn()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		needs(t, "mounts of its own: "+err.Error())
	}
}

func TestOtherFileSystemsAreNotEntered(t *testing.T) {
	root := hull(t)
	for _, name := range []string{"proc", "tmp", "again", "disk"} {
		must(t, os.Mkdir(filepath.Join(root, name), 0o755))
	}
	inMounts(t, func() {
		must(t, unix.Mount("proc", filepath.Join(root, "proc"), "proc", 0, ""))
		must(t, unix.Mount("tmpfs", filepath.Join(root, "tmp"), "tmpfs", 0, ""))
		must(t, os.WriteFile(filepath.Join(root, "tmp", "passing"), nil, 0o600))
		must(t, unix.Mount(filepath.Join(root, "bin"), filepath.Join(root, "again"), "", unix.MS_BIND, ""))
		got, _, err := listed(t, openTree(t, "dir:"+root), image.Caps{})
		if err != nil {
			t.Errorf("what passes with the machine is not missed: %v", err)
		}
		in := func(part string) bool {
			return slices.ContainsFunc(got, func(line string) bool { return strings.HasPrefix(line, part) })
		}
		if in("proc/") || in("tmp/") || !in("tmp 1") || in("again/sh") == in("bin/sh") {
			t.Errorf("entries %q", got)
		}
	})
}

func TestAMountedDiskIsMissed(t *testing.T) {
	root := hull(t)
	must(t, os.Mkdir(filepath.Join(root, "disk"), 0o755))
	inMounts(t, func() {
		scratch := t.TempDir()
		must(t, unix.Mount("tmpfs", scratch, "tmpfs", 0, "")) // overlays do not lie on overlays
		for _, dir := range []string{"lower", "upper", "work"} {
			must(t, os.Mkdir(filepath.Join(scratch, dir), 0o755))
		}
		must(t, os.WriteFile(filepath.Join(scratch, "lower/program"), []byte("x"), 0o755))
		options := strings.ReplaceAll("lowerdir=S/lower,upperdir=S/upper,workdir=S/work", "S", scratch)
		must(t, unix.Mount("overlay", filepath.Join(root, "disk"), "overlay", 0, options))
		got, _, err := listed(t, openTree(t, "dir:"+root), image.Caps{})
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), `"disk": another file system`) {
			t.Errorf("err = %v", err)
		}
		if !slices.Contains(got, "outside 2 777 /etc/passwd") {
			t.Errorf("the rest was not read: %q", got)
		}
	})
}
