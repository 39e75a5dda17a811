package quota_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
	"plimsoll/internal/seal/quota"
)

const (
	captiveName = "quota-captive"
	captiveID   = 100000
	limit       = 8 << 20 // bytes
	slack       = 1 << 20 // bytes: folders, extents
)

func TestMain(m *testing.M) {
	if os.Args[0] == captiveName {
		runCaptive()
		return
	}
	os.Exit(m.Run())
}

// folders are where file systems with project quotas are mounted; few machines
// have one. The virtual machine of `make vm` has both kinds.
func folders(t *testing.T) []string {
	t.Helper()
	list := os.Getenv("PLIMSOLL_QUOTA_DIRS")
	if list == "" {
		t.Skip("needs file systems with project quotas in PLIMSOLL_QUOTA_DIRS: make vm")
	}
	return strings.Split(list, ":")
}

var lastProject uint32 = 7000

// each runs test on each file system, with a folder that anybody can write, and
// a number that nobody has.
func each(t *testing.T, test func(t *testing.T, dir string, project uint32)) {
	for _, root := range folders(t) {
		t.Run(filepath.Base(root), func(t *testing.T) {
			dir, err := os.MkdirTemp(root, "t") //nolint:usetesting // which knows no root
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			if err := os.Chmod(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			lastProject++
			test(t, dir, lastProject)
		})
	}
}

// captive does something in a user namespace, as a container's root would.
type captive struct {
	Do, Path, To string
	Bytes        int64
}

// outcome is what became of it.
type outcome struct {
	Errno syscall.Errno
	Done  int64 // bytes written, files made
}

func (c captive) run(t *testing.T) outcome {
	t.Helper()
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", string(b))
	cmd.Args[0] = captiveName
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: captiveID, Size: 1000}}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids,
		Credential: &syscall.Credential{},
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%+v: %v", c, err)
	}
	var o outcome
	if err := json.Unmarshal(out, &o); err != nil {
		t.Fatalf("%+v: %v: %s", c, err, out)
	}
	return o
}

func runCaptive() {
	var c captive
	if err := json.Unmarshal([]byte(os.Args[1]), &c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var o outcome
	err := c.do(&o)
	if err != nil && !errors.As(err, &o.Errno) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = json.NewEncoder(os.Stdout).Encode(o)
}

func (c captive) do(o *outcome) error {
	switch c.Do {
	case "write":
		return c.write(&o.Done)
	case "sparse":
		return c.sparse(&o.Done)
	case "files":
		for ; o.Done < c.Bytes; o.Done++ {
			if err := os.WriteFile(fmt.Sprintf("%s/%d", c.Path, o.Done), nil, 0o600); err != nil {
				return err
			}
		}
		return nil
	case "rename":
		return os.Rename(c.Path, c.To)
	case "link":
		return os.Link(c.Path, c.To)
	case "project":
		return c.project(func(a *attributes) { a.Project = 0 })
	case "inherit":
		return c.project(func(a *attributes) { a.Flags &^= 0x200 })
	}
	return fmt.Errorf("what is %q?", c.Do)
}

func (c captive) write(done *int64) error {
	f, err := os.Create(c.Path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	for buf := make([]byte, 1<<16); *done < c.Bytes; {
		n, err := f.Write(buf)
		*done += int64(n)
		if err != nil {
			return err
		}
	}
	return f.Sync()
}

// sparse allocates without writing.
func (c captive) sparse(done *int64) error {
	f, err := os.Create(c.Path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	for ; *done < c.Bytes; *done += 1 << 16 {
		if err := unix.Fallocate(int(f.Fd()), 0, *done, 1<<16); err != nil {
			return err
		}
	}
	return nil
}

func TestLimitHolds(t *testing.T) {
	for _, do := range []string{"write", "sparse"} {
		each(t, func(t *testing.T, dir string, project uint32) {
			if err := quota.Limit(dir, project, limit); err != nil {
				t.Fatal(err)
			}
			o := captive{Do: do, Path: dir + "/big", Bytes: 3 * limit}.run(t)
			if !full(o.Errno) || o.Done > limit || o.Done < limit-slack {
				t.Errorf("%s of %d bytes: %d were taken, %v", do, 3*limit, o.Done, o.Errno)
			}
			p, err := quota.Usage(dir, project)
			if err != nil || p.MaxBytes != limit || p.Bytes > limit || p.Bytes < limit-slack || p.MaxInodes == 0 {
				t.Errorf("usage is %+v, %v", p, err)
			}
			if o := (captive{Do: "write", Path: dir + "/../beside", Bytes: 2 * limit}).run(t); o.Errno != syscall.EACCES {
				t.Fatalf("the control's folder should be closed: %v", o.Errno)
			}
			if err := os.WriteFile(filepath.Dir(dir)+"/control", make([]byte, 2*limit), 0o600); err != nil {
				t.Errorf("the limit holds outside of the folder: %v", err)
			}
			_ = os.Remove(filepath.Dir(dir) + "/control")
		})
	}
}

func full(errno syscall.Errno) bool { return errno == syscall.EDQUOT || errno == syscall.ENOSPC }

func TestLimitHoldsForInodes(t *testing.T) {
	each(t, func(t *testing.T, dir string, project uint32) {
		if err := quota.Limit(dir, project, limit); err != nil {
			t.Fatal(err)
		}
		p, err := quota.Usage(dir, project)
		if err != nil {
			t.Fatal(err)
		}
		o := captive{Do: "files", Path: dir, Bytes: p.MaxInodes + 100}.run(t)
		if !full(o.Errno) || o.Done >= p.MaxInodes {
			t.Errorf("%d files with %d inodes: %v", o.Done, p.MaxInodes, o.Errno)
		}
	})
}

func TestLimitHoldsThroughAnOverlay(t *testing.T) {
	each(t, func(t *testing.T, dir string, project uint32) {
		for _, d := range []string{"diff", "work", "lower", "merged"} {
			if err := os.Mkdir(filepath.Join(dir, d), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(filepath.Join(dir, d), 0o777); err != nil {
				t.Fatal(err)
			}
		}
		if err := quota.Limit(dir, project, limit); err != nil {
			t.Fatal(err)
		}
		merged := dir + "/merged"
		if err := unix.Mount("overlay", merged, "overlay", 0, fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/diff,workdir=%[1]s/work", dir)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(merged, 0) })
		if o := (captive{Do: "write", Path: merged + "/big", Bytes: 3 * limit}).run(t); !full(o.Errno) || o.Done > limit {
			t.Errorf("%d bytes were taken, %v", o.Done, o.Errno)
		}
		for _, do := range []string{"project", "inherit"} {
			if o := (captive{Do: do, Path: merged}).run(t); o.Errno == 0 {
				t.Errorf("%s: a container changed it through the overlay", do)
			}
		}
		if a := look(t, dir+"/diff"); a.Project != project || a.Flags&0x200 == 0 {
			t.Errorf("the upper folder is of project %d, flags %#x", a.Project, a.Flags)
		}
		if err := quota.Limit(dir, project, limit); err != nil {
			t.Errorf("anew, with the overlay mounted: %v", err)
		}
	})
}

func TestCaptiveCannotLeaveItsProject(t *testing.T) {
	each(t, func(t *testing.T, dir string, project uint32) {
		mine, other := filepath.Join(dir, "mine"), filepath.Join(dir, "other")
		for _, d := range []string{mine, other} {
			if err := errors.Join(os.Mkdir(d, 0o777), os.Chown(d, captiveID, captiveID)); err != nil {
				t.Fatal(err)
			}
		}
		if err := quota.Limit(mine, project, limit); err != nil {
			t.Fatal(err)
		}
		if o := (captive{Do: "write", Path: mine + "/f", Bytes: 1 << 16}).run(t); o.Errno != 0 {
			t.Fatal(o.Errno)
		}
		for _, c := range []captive{
			{Do: "rename", Path: mine + "/f", To: other + "/f"},
			{Do: "project", Path: mine},
			{Do: "project", Path: mine + "/f"},
			{Do: "inherit", Path: mine},
		} {
			o := c.run(t)
			_, err := os.Stat(other + "/f")
			// A file may be moved to where nothing is counted: it stays counted.
			if moved := err == nil; o.Errno == 0 && !moved || moved && look(t, other+"/f").Project != project {
				t.Errorf("%+v: %v", c, o.Errno)
			}
			if moved := err == nil; moved {
				if err := os.Rename(other+"/f", mine+"/f"); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

func TestWhatIsThereAlreadyCounts(t *testing.T) {
	each(t, func(t *testing.T, dir string, project uint32) {
		outside := filepath.Join(filepath.Dir(dir), "outside")
		if err := errors.Join(os.MkdirAll(dir+"/a/b", 0o777), os.WriteFile(dir+"/a/b/f", make([]byte, limit/2), 0o600), os.WriteFile(outside, []byte("x"), 0o600),
			os.Symlink(outside, dir+"/a/link"), unix.Mkfifo(dir+"/a/pipe", 0o600)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Remove(outside) })
		for range 2 {
			if err := quota.Limit(dir, project, limit); err != nil {
				t.Fatal(err)
			}
		}
		if a := look(t, outside); a.Project != 0 {
			t.Errorf("a link was followed: what it leads to is of project %d", a.Project)
		}
		if a := look(t, dir+"/a/b/f"); a.Project != project {
			t.Errorf("the file is of project %d", a.Project)
		}
		if p, err := quota.Usage(dir, project); err != nil || p.Bytes < limit/2 {
			t.Errorf("usage is %+v, %v", p, err)
		}
		if o := (captive{Do: "write", Path: dir + "/big", Bytes: limit}).run(t); !full(o.Errno) || o.Done > limit/2 {
			t.Errorf("%d bytes were taken beside %d, %v", o.Done, limit/2, o.Errno)
		}
		if err := quota.Limit(dir, project+500, limit); err != nil {
			t.Fatal(err)
		}
		if a := look(t, dir+"/a/b/f"); a.Project != project+500 {
			t.Errorf("with another number, the file is of project %d", a.Project)
		}
	})
}

func TestClear(t *testing.T) {
	each(t, func(t *testing.T, dir string, project uint32) {
		sub := filepath.Join(dir, "c")
		if err := os.Mkdir(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := quota.Limit(sub, project, limit); err != nil {
			t.Fatal(err)
		}
		if err := quota.Clear(dir, project); !fault.Is(err, fault.Conflict) {
			t.Errorf("with a folder of that number: %v", err)
		}
		if err := os.Remove(sub); err != nil {
			t.Fatal(err)
		}
		err := quota.Clear(dir, project)
		for try := 0; fault.Is(err, fault.Conflict) && try < 600; try++ { // xfs gives inodes back later
			unix.Sync()
			time.Sleep(50 * time.Millisecond)
			err = quota.Clear(dir, project)
		}
		if err := errors.Join(err, quota.Clear(dir, project)); err != nil {
			t.Error(err)
		}
		if p, err := quota.Usage(dir, project); err != nil || p != (quota.Project{}) {
			t.Errorf("left is %+v, %v", p, err)
		}
	})
}

func TestRefused(t *testing.T) {
	dir := "/dev/shm" // tmpfs has no projects
	for _, err := range []error{quota.Supported(dir), quota.Limit(dir, 1, limit)} {
		if !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.HintOf(err), "prjquota") {
			t.Errorf("on tmpfs: %v, hint %q", err, fault.HintOf(err))
		}
	}
	for _, err := range []error{quota.Limit(dir, 0, limit), quota.Limit(dir, 1, 0), quota.Limit(dir, 1, -limit), quota.Clear(dir, 0)} {
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("nonsense: %v", err)
		}
	}
	if err := quota.Supported(filepath.Join(t.TempDir(), "none")); !fault.Is(err, fault.NotFound) {
		t.Errorf("nothing there: %v", err)
	}
}
