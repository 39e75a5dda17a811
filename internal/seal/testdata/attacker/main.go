// Attacker is the one program in the containers of this package's tests. Each
// of its commands makes one attempt and says what came of it. It carries no
// payload and touches only what its arguments name.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

var attempts = map[string]func(args []string) error{
	"cat":       func(a []string) error { return cat(a...) },
	"write":     func(a []string) error { return os.WriteFile(a[0], []byte("written"), 0o644) },
	"openw":     openForWriting,
	"chmod":     func(a []string) error { return unix.Chmod(a[0], uint32(num(a[1], 8))) },
	"mkdir":     func(a []string) error { return os.MkdirAll(a[0], 0o755) },
	"creatsuid": func(a []string) error { return closing(unix.Open(a[0], unix.O_CREAT|unix.O_WRONLY, 0o4755)) },
	"mknod":     func(a []string) error { return unix.Mknod(a[0], unix.S_IFBLK|0o666, int(unix.Mkdev(7, 0))) },
	"mount":     func(a []string) error { return unix.Mount("t", a[0], "tmpfs", 0, "") },
	"cgroup":    releaseAgent,
	"keyget": func(a []string) error {
		_, err := unix.KeyctlSearch(unix.KEY_SPEC_USER_KEYRING, "user", a[0], 0)
		return err
	},
	"keyadd": func([]string) error {
		_, err := unix.AddKey("user", "x", []byte("x"), unix.KEY_SPEC_USER_KEYRING)
		return err
	},
	"uring":   func([]string) error { return call(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&[120]byte{}))) },
	"userns":  func([]string) error { return unix.Unshare(unix.CLONE_NEWUSER) },
	"bpf":     func([]string) error { return call(unix.SYS_BPF, 0, 0) },
	"packet":  func([]string) error { return closing(unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)) },
	"inotify": inotify,
	"forks":   forks,
	"memory":  memory,
	"fill":    fill,
	"files": func([]string) error {
		var r unix.Rlimit
		err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r)
		fmt.Println("files", r.Max)
		return err
	},
	"core": func([]string) error {
		var r unix.Rlimit
		err := unix.Getrlimit(unix.RLIMIT_CORE, &r)
		fmt.Println("core", r.Max)
		return err
	},
	"whoami": whoami,
	"stat":   stat,
	"sleep":  func([]string) error { time.Sleep(time.Minute); return nil },
	"trap":   trap,
	"deaf":   func([]string) error { signal.Ignore(syscall.SIGTERM); time.Sleep(time.Minute); return nil },
	"exit":   func(a []string) error { os.Exit(int(num(a[0], 10))); return nil },
	"env":    func([]string) error { fmt.Println(strings.Join(os.Environ(), "\n")); return nil },
	"ls":     ls,
	"copy":   func([]string) error { _, err := io.Copy(os.Stdout, os.Stdin); return err },
	"reopen": func([]string) error { return os.WriteFile("/proc/self/fd/1", []byte("reopened\n"), 0) },
}

// main runs commands that are separated by "--", each with its arguments.
func main() {
	for _, c := range strings.Split(strings.Join(os.Args[1:], "\x00"), "\x00--\x00") {
		args := strings.Split(c, "\x00")
		f, ok := attempts[args[0]]
		if !ok {
			fmt.Println("unknown command", args[0])
			os.Exit(2)
		}
		if err := f(args[1:]); err != nil {
			fmt.Printf("%s: stopped (%v)\n", args[0], err)
			continue
		}
		fmt.Printf("%s: done\n", args[0])
	}
}

func num(s string, base int) int64 {
	n, err := strconv.ParseInt(s, base, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func cat(names ...string) error {
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		fmt.Printf("%s: %s\n", name, strings.TrimSpace(string(b)))
	}
	return nil
}

func openForWriting(a []string) error {
	f, err := os.OpenFile(a[0], os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

func closing(fd int, err error) error {
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func call(nr, a, b uintptr) error {
	if _, _, errno := unix.Syscall(nr, a, b, 0); errno != 0 {
		return errno
	}
	return nil
}

func releaseAgent([]string) error {
	if err := os.MkdirAll("/tmp/cg", 0o755); err != nil {
		return err
	}
	return unix.Mount("cg", "/tmp/cg", "cgroup", 0, "none,name=sealtest")
}

func inotify(a []string) error {
	n := 0
	for ; n < int(num(a[0], 10)); n++ {
		if _, err := unix.InotifyInit1(0); err != nil {
			break
		}
	}
	fmt.Println("inotify", n)
	if len(a) > 1 {
		time.Sleep(time.Minute)
	}
	return nil
}

func forks(a []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	n := 0
	for ; n < int(num(a[0], 10)); n++ {
		if _, err = syscall.ForkExec(self, []string{self, "sleep"}, &syscall.ProcAttr{}); err != nil {
			break
		}
	}
	fmt.Println("forks", n)
	return err
}

func memory(a []string) error {
	b := make([]byte, num(a[0], 10)<<20)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	return nil
}

func fill(a []string) error {
	f, err := os.Create("/fill")
	if err != nil {
		return err
	}
	for range num(a[0], 10) {
		if _, err := f.Write(make([]byte, 1<<20)); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return f.Close()
}

func whoami([]string) error {
	groups, err := os.Getgroups()
	dir, _ := os.Getwd()
	name, _ := os.Hostname()
	fmt.Println("ids", os.Getuid(), os.Geteuid(), os.Getgid(), groups, "in", dir, "on host", name != "", "home", os.Getenv("HOME"))
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "Cap") || strings.HasPrefix(line, "NoNewPrivs") || strings.HasPrefix(line, "Seccomp:") {
			fmt.Print(line)
		}
	}
	return err
}

func stat(a []string) error {
	var st unix.Stat_t
	if err := unix.Lstat(a[0], &st); err != nil {
		return err
	}
	fmt.Printf("%s %o %d:%d\n", a[0], st.Mode, st.Uid, st.Gid)
	return nil
}

func trap([]string) error {
	c := make(chan os.Signal, 1)
	signal.Notify(c)
	fmt.Println("trapped")
	for s := range c {
		if s == syscall.SIGURG {
			continue // the Go runtime's own
		}
		fmt.Println("got", s)
		os.Exit(7)
	}
	return nil
}

func ls(a []string) error {
	names, err := filepath.Glob(filepath.Join(a[0], "*"))
	fmt.Println(names)
	return err
}
