package apparmor_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
	"plimsoll/internal/seal/apparmor"
)

const captiveName = "apparmor-captive"

func TestMain(m *testing.M) {
	if os.Args[0] == captiveName {
		runCaptive()
		return
	}
	os.Exit(m.Run())
}

func TestProfileIsUnderstood(t *testing.T) {
	const parser = "/usr/sbin/apparmor_parser"
	if _, err := os.Stat(parser); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("needs apparmor_parser: %v", err)
		}
		t.Skip("needs apparmor_parser: apt-get install apparmor")
	}
	cmd := exec.CommandContext(t.Context(), parser, "--quiet", "--skip-kernel-load", "--skip-cache", "--names")
	cmd.Stdin = strings.NewReader(apparmor.Text)
	if out, err := cmd.Output(); err != nil || strings.TrimSpace(string(out)) != apparmor.Name {
		t.Errorf("%v: %s", err, out)
	}
}

func TestWithoutAppArmor(t *testing.T) {
	if apparmor.Available() {
		t.Skip("needs a kernel without AppArmor")
	}
	if ok, err := apparmor.Loaded(); ok || err != nil {
		t.Errorf("loaded: %v, %v", ok, err)
	}
	if err := apparmor.Load(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("load: %v", err)
	}
}

// attempts are what a process may do without the profile, root that it is.
var attempts = map[string]func() error{
	"mount": func() error { return unix.Mount("tmpfs", "/tmp", "tmpfs", 0, "") },
	"bind":  func() error { return unix.Mount("/tmp", "/tmp", "", unix.MS_BIND, "") },
	"sysctl": func() error {
		f, err := os.OpenFile("/proc/sys/kernel/printk", os.O_WRONLY, 0)
		return errors.Join(err, f.Close())
	},
	"sysfs": func() error {
		f, err := os.OpenFile("/sys/kernel/profiling", os.O_WRONLY, 0)
		return errors.Join(err, f.Close())
	},
	"kernel's symbols":      func() error { _, err := os.ReadFile("/proc/kallsyms"); return err },
	"profiles":              func() error { _, err := os.ReadFile("/sys/kernel/security/apparmor/profiles"); return err },
	"signal a free process": func() error { return unix.Kill(os.Getppid(), unix.SIGCONT) },
	"trace a free process": func() error {
		_, err := os.Readlink("/proc/" + "1" + "/exe")
		return err
	},
	"ordinary work": func() error {
		f, err := os.CreateTemp("", "x")
		return errors.Join(err, os.Remove(f.Name()), f.Close())
	},
}

func TestProfileIsEnforced(t *testing.T) {
	if !apparmor.Available() || os.Geteuid() != 0 {
		if os.Getenv("PLIMSOLL_GUEST") != "" {
			t.Fatal("this kernel should enforce AppArmor")
		}
		t.Skip("needs root and a kernel with AppArmor: make vm")
	}
	for range 2 {
		if err := apparmor.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if ok, err := apparmor.Loaded(); !ok || err != nil {
		t.Fatalf("loaded: %v, %v", ok, err)
	}
	free, sealed := captive(t, ""), captive(t, apparmor.Name)
	if want := apparmor.Name + " (enforce)"; sealed.Label != want {
		t.Fatalf("the label is %q, want %q", sealed.Label, want)
	}
	for name := range attempts {
		if e := free.Errnos[name]; e != 0 {
			t.Errorf("the control, without the profile: %s: %v", name, e)
		}
		want := syscall.EACCES
		if name == "ordinary work" {
			want = 0
		}
		if e := sealed.Errnos[name]; e != want {
			t.Errorf("with the profile: %s: %v", name, e)
		}
	}
}

// findings are what a captive saw.
type findings struct {
	Label  string
	Errnos map[string]syscall.Errno
}

func captive(t *testing.T, label string) (f findings) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", label)
	cmd.Args[0] = captiveName
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Unshareflags: syscall.CLONE_NEWNS}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("captive with label %q: %v", label, err)
	}
	if err := json.Unmarshal(out, &f); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return f
}

func runCaptive() {
	runtime.LockOSThread()
	if len(os.Args) == 2 && os.Args[1] != "" {
		// As runtimes do: the label changes with the next program.
		if err := os.WriteFile("/proc/thread-self/attr/apparmor/exec", []byte("exec "+os.Args[1]), 0); err != nil {
			panic(err)
		}
		panic(syscall.Exec("/proc/self/exe", []string{captiveName}, os.Environ()))
	}
	b, _ := os.ReadFile("/proc/self/attr/current")
	f := findings{strings.TrimRight(string(b), "\n\x00"), map[string]syscall.Errno{}}
	for name, attempt := range attempts {
		var errno syscall.Errno
		if err := attempt(); err != nil && !errors.As(err, &errno) {
			panic(err)
		}
		f.Errnos[name] = errno
	}
	_ = json.NewEncoder(os.Stdout).Encode(f)
}
