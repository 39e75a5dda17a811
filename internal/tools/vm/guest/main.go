//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// results is the second serial line: the kernel writes to the first.
const results = "/dev/ttyS1"

func main() {
	var err error
	if len(os.Args) > 1 && os.Args[1] == "systemd" {
		err = service()
	} else {
		err = first()
	}
	fmt.Fprintln(os.Stdout, "guest:", err)
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// first is the machine's first process. When its suites have run it becomes
// systemd.
func first() error {
	p, err := readPlan("/plan.json")
	if err != nil {
		return err
	}
	if err := mountAll(kernelFolders); err != nil {
		return err
	}
	for _, m := range p.Modules {
		if err := load(m); err != nil {
			return fmt.Errorf("load %s: %w", m, err)
		}
	}
	if err := enter(); err != nil {
		return err
	}
	out, err := os.OpenFile(results, os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "machine: up after %s\n", uptime())
	runAll(p.Suites, out)
	if err := out.Close(); err != nil {
		return err
	}
	return unix.Exec(manager, []string{manager, "--unit=lane.service", "--log-target=console"}, nil)
}

const manager = "/usr/lib/systemd/systemd"

// service runs the suites that need systemd, as a service of its.
func service() error {
	p, err := readPlan("/t/plan.json")
	if err != nil {
		return err
	}
	out, err := os.OpenFile(results, os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	runAll(p.Systemd, out)
	fmt.Fprintln(out, "machine: done")
	return out.Close()
}

func runAll(suites []suite, out io.Writer) {
	for _, s := range suites {
		fmt.Fprintf(out, "machine: suite %s begins\n", s.Name)
		code := s.run(out)
		fmt.Fprintf(out, "\nmachine: suite %s ended %d after %s\n", s.Name, code, uptime())
	}
}

func (s suite) run(out io.Writer) int {
	cmd := exec.Command(s.Args[0], s.Args[1:]...) //nolint:noctx // the machine ends with its suites
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.Dir, out, out
	cmd.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TMPDIR=/tmp", "CI=true", "PLIMSOLL_GUEST=1"}, s.Env...)
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	fmt.Fprintln(out, err)
	return -1
}

func uptime() time.Duration {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &now)
	return time.Duration(now.Nano()).Round(100 * time.Millisecond)
}

func load(module string) error {
	f, err := os.Open(module)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := unix.FinitModule(int(f.Fd()), "", 0); !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}

type mount struct {
	kind, source, target, data string
	flags                      uintptr
}

var kernelFolders = []mount{
	{"proc", "proc", "/proc", "", 0},
	{"sysfs", "sysfs", "/sys", "", 0},
	{"devtmpfs", "dev", "/dev", "", 0},
}

var others = []mount{
	{"devpts", "devpts", "/dev/pts", "newinstance,ptmxmode=0666", 0},
	{"mqueue", "mqueue", "/dev/mqueue", "", 0},
	{"tmpfs", "shm", "/dev/shm", "mode=1777", 0},
	{"tmpfs", "run", "/run", "mode=0755", 0},
	{"cgroup2", "cgroup", "/sys/fs/cgroup", "", 0},
	{"securityfs", "security", "/sys/kernel/security", "", 0},
	{"xfs", "/dev/vdb", "/mnt/xfs", "pquota", 0},
}

func mountAll(list []mount) error {
	for _, m := range list {
		if err := os.MkdirAll(m.target, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	return nil
}

// enter makes the first disk the root. The kernel's first root cannot be left by
// pivot_root, which runtimes need; moving over it is what every system does.
func enter() error {
	if err := mountAll([]mount{{"ext4", "/dev/vda", "/new", "prjquota", 0}}); err != nil {
		return err
	}
	for _, m := range kernelFolders {
		if err := os.MkdirAll("/new"+m.target, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.target, "/new"+m.target, "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("move %s: %w", m.target, err)
		}
	}
	if err := errors.Join(os.Chdir("/new"), unix.Mount(".", "/", "", unix.MS_MOVE, ""), unix.Chroot("."), os.Chdir("/")); err != nil {
		return fmt.Errorf("move to the disk: %w", err)
	}
	if err := errors.Join(own(), os.MkdirAll("/tmp", 0o777), os.Chmod("/tmp", os.ModeSticky|0o777), os.MkdirAll("/mnt/ext4", 0o755)); err != nil {
		return err
	}
	if err := mountAll(others); err != nil {
		return err
	}
	return exec.Command("/usr/bin/busybox", "ip", "link", "set", "lo", "up").Run() //nolint:noctx // at boot
}

// own makes root the owner of the disk's files, where a person without its
// privileges has made the disk.
func own() error {
	var st unix.Stat_t
	if err := unix.Stat("/usr/bin/busybox", &st); err != nil || st.Uid == 0 {
		return err
	}
	var dev unix.Stat_t
	if err := unix.Stat("/", &dev); err != nil {
		return err
	}
	return filepath.WalkDir("/", func(path string, _ os.DirEntry, err error) error {
		var st unix.Stat_t
		if err != nil || unix.Lstat(path, &st) != nil {
			return err
		}
		if st.Dev != dev.Dev {
			return filepath.SkipDir
		}
		return os.Lchown(path, 0, 0)
	})
}
