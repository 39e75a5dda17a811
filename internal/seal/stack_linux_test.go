package seal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
	"plimsoll/internal/idmap"
)

// inPrivate calls f on a thread of its own that has the private mounts, and ends
// with it. It is not the process's first, which does not end, and whose mounts
// /proc/self shows to other tests.
func inPrivate(f func() error) error {
	done := make(chan error, 1)
	var on func()
	on = func() {
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			other := make(chan struct{})
			go func() {
				defer close(other)
				on()
			}()
			<-other
			runtime.UnlockOSThread()
			return
		}
		err := PrivateMounts() // the thread stays locked, and ends with the goroutine
		if err == nil {
			err = f()
		}
		done <- err
	}
	go on()
	return <-done
}

// TestStackedEitherWay stacks few and many layers by names and by descriptors,
// writes into them as the container's root, and looks whose the file is on disk.
func TestStackedEitherWay(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	ids := idmap.Range{Base: 0x77000000, Size: idmap.SlotSize}
	ways := map[string]stacker{"names": stackNames, "descriptors": stackDescriptors, "too long for names": func(s *stack, target string, users int, base uint32) error {
		defer func(n int) { maxOptions = n }(maxOptions)
		maxOptions = 10
		return stackSome(s, target, users, base)
	}}
	var kernel unix.Utsname
	if err := unix.Uname(&kernel); err != nil {
		t.Fatal(err)
	}
	recent := kernelFrom(unix.ByteSliceToString(kernel.Release[:]), 6, 13)
	for way, mount := range ways {
		for _, layers := range []int{1, 16, 300} {
			dir := t.TempDir()
			err := inPrivate(func() error { return stackAndWrite(t, dir, layers, ids, mount) })
			if way != "names" && !recent {
				if !fault.Is(err, fault.Unavailable) {
					t.Errorf("%s: this kernel cannot, and said %v", way, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%d layers by %s: %v", layers, way, err)
				continue
			}
			for _, name := range []string{"made", "f"} {
				var st unix.Stat_t
				if err := unix.Stat(filepath.Join(dir, "up/diff", name), &st); err != nil || st.Uid != 0 {
					t.Errorf("%d layers by %s: %q belongs to %d, %v", layers, way, name, st.Uid, err)
				}
			}
		}
	}
}

// stackAndWrite makes layers below dir, stacks them, and writes as ids' first.
func stackAndWrite(t *testing.T, dir string, layers int, ids idmap.Range, mount stacker) (err error) {
	s := &stack{parent: -1, upper: "diff", work: workName, options: []string{"index=off"}}
	defer func() { err = errors.Join(err, s.close()) }()
	for i := range layers {
		layer := filepath.Join(dir, fmt.Sprint(i))
		if err := errors.Join(os.Mkdir(layer, 0o755), os.WriteFile(filepath.Join(layer, "f"), fmt.Append(nil, i), 0o644)); err != nil {
			return err
		}
		fd, err := openDir(layer)
		if err != nil {
			return err
		}
		s.lowers = append(s.lowers, fd)
	}
	up := filepath.Join(dir, "up")
	if err := errors.Join(os.MkdirAll(filepath.Join(up, "diff"), 0o755), os.Mkdir(filepath.Join(up, workName), 0o700)); err != nil {
		return err
	}
	if s.parent, err = openDir(up); err != nil {
		return err
	}
	users, err := newUserNamespace(t.Context(), idmap.Range{Size: ids.Size}, ids)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Close(users)) }()
	if err := os.Mkdir(rootDir, 0o755); err != nil {
		return err
	}
	if err := mount(s, rootDir, users, ids.Base); err != nil {
		return err
	}
	if b, err := os.ReadFile(filepath.Join(rootDir, "f")); err != nil || string(b) != "0" {
		return fmt.Errorf("the top layer is not on top: %q, %w", b, err)
	}
	if b, err := os.ReadFile("/proc/thread-self/mountinfo"); err != nil || strings.Contains(lineOf(string(b), rootDir), dir) {
		return fmt.Errorf("the mount tells the host's paths: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(rootDir, "f"), &st); err != nil || st.Uid != ids.Base {
		return fmt.Errorf("a layer's file belongs to %d in the container: %w", st.Uid, err)
	}
	return as(ids.Base, setFiles, func() error {
		return errors.Join(os.WriteFile(filepath.Join(rootDir, "made"), nil, 0o600), os.WriteFile(filepath.Join(rootDir, "f"), []byte("x"), 0o600))
	})
}

func lineOf(mounts, point string) string {
	for line := range strings.Lines(mounts) {
		if strings.Contains(line, " "+point+" ") {
			return line
		}
	}
	return ""
}

// TestMemoryThatCannotBeMapped replaces an engine's shared memory on kernels
// whose tmpfs cannot map IDs.
func TestMemoryThatCannotBeMapped(t *testing.T) {
	for release, want := range map[string]bool{"6.1.0-18-amd64": false, "6.2": false, "6.3.0": true, "6.18.44": true, "5.19": false, "7.0": true, "x": false} {
		if got := kernelFrom(release, 6, 3); got != want {
			t.Errorf("%q: %v", release, got)
		}
	}
}
