//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func init() {
	attempts["call"] = call
	attempts["keyadd"] = keyAdd
	attempts["keyget"] = keyGet
	attempts["keydrop"] = keyDrop
	attempts["inotify"] = inotify
	attempts["forks"] = forks
	attempts["memory"] = memory
	attempts["raw"] = raw
	attempts["ping"] = func([]string) error { return socket(unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP) }
	attempts["trace"] = trace
	attempts["signal"] = func(a []string) error { return unix.Kill(number(a, 0), 0) }
	attempts["hostname"] = func(a []string) error { return unix.Sethostname([]byte(arg(a, 0))) }
	attempts["namespace"] = namespace
	attempts["shm"] = sharedMemory
	attempts["identity"] = identity
	attempts["score"] = score
	attempts["same"] = sameNamespace
	attempts["privileged"] = privileged
	attempts["environ"] = func(a []string) error { return read([]string{"/proc/" + arg(a, 0) + "/environ"}) }
}

// calls are system calls that a container has no need of, with arguments that
// make them fail or do nothing where they are allowed.
var calls = map[string]struct{ number, a, b uintptr }{
	"io_uring_setup":    {unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&[120]byte{}))},
	"bpf":               {unix.SYS_BPF, 0, 0},
	"userfaultfd":       {unix.SYS_USERFAULTFD, 1, 0},
	"perf_event_open":   {unix.SYS_PERF_EVENT_OPEN, 0, 0},
	"unshare":           {unix.SYS_UNSHARE, unix.CLONE_NEWUSER, 0},
	"syslog":            {unix.SYS_SYSLOG, 10, 0},
	"open_by_handle_at": {unix.SYS_OPEN_BY_HANDLE_AT, 0, 0},
	"init_module":       {unix.SYS_INIT_MODULE, 0, 0},
	"swapon":            {unix.SYS_SWAPON, 0, 0},
	"reboot":            {unix.SYS_REBOOT, 0, 0},
}

// call makes one system call; only being refused by a filter or for want of a
// privilege counts as stopped.
func call(a []string) error {
	runtime.LockOSThread()
	c, ok := calls[arg(a, 0)]
	if !ok {
		return fmt.Errorf("no such call")
	}
	_, _, no := unix.Syscall(c.number, c.a, c.b, 0)
	if no == unix.EPERM || no == unix.ENOSYS || no == unix.EACCES {
		return no
	}
	return nil
}

func keyAdd(a []string) error {
	_, err := unix.AddKey("user", arg(a, 0), []byte("canary"), unix.KEY_SPEC_USER_KEYRING)
	return err
}

func keyGet(a []string) error {
	_, err := unix.KeyctlSearch(unix.KEY_SPEC_USER_KEYRING, "user", arg(a, 0), 0)
	return err
}

func keyDrop(a []string) error {
	id, err := unix.KeyctlSearch(unix.KEY_SPEC_USER_KEYRING, "user", arg(a, 0), 0)
	if err != nil {
		return err
	}
	_, err = unix.KeyctlInt(unix.KEYCTL_UNLINK, id, unix.KEY_SPEC_USER_KEYRING, 0, 0)
	return err
}

// inotify takes up to as many instances as asked, and keeps them if told to.
func inotify(a []string) error {
	n := 0
	var err error
	for ; n < number(a, 0); n++ {
		if _, err = unix.InotifyInit1(0); err != nil {
			break
		}
	}
	return hold(a, counted{n, err})
}

// hold says how it went, and stays if the last argument says so.
func hold(a []string, c counted) error {
	if a[len(a)-1] == "hold" {
		say(c)
		time.Sleep(time.Hour)
	}
	return c
}

// forks starts as many processes as asked.
func forks(a []string) error {
	n := 0
	var err error
	for ; n < number(a, 0); n++ {
		if err = exec.CommandContext(context.Background(), "/bin/sleep", "1000").Start(); err != nil {
			break
		}
	}
	return hold(a, counted{n, err})
}

// memory writes to as many MiB as asked. Who takes too much is killed.
func memory(a []string) error {
	b, err := unix.Mmap(-1, 0, number(a, 0)<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return err
	}
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	return nil
}

func raw([]string) error {
	return errors.Join(socket(unix.AF_PACKET, unix.SOCK_RAW, 0x0300), socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP))
}

func socket(domain, kind, protocol int) error {
	fd, err := unix.Socket(domain, kind, protocol)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// trace stops a process and lets it go on.
func trace(a []string) error {
	runtime.LockOSThread()
	if err := unix.PtraceAttach(number(a, 0)); err != nil {
		return err
	}
	if _, err := unix.Wait4(number(a, 0), nil, unix.WALL, nil); err != nil {
		return err
	}
	return unix.PtraceDetach(number(a, 0))
}

// namespace mounts in a user namespace that it makes itself.
func namespace([]string) error {
	cmd := exec.CommandContext(context.Background(), "/proc/self/exe", "mount", "/tmp")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.Output()
	if err == nil && !strings.Contains(string(out), `"succeeded":true`) {
		return fmt.Errorf("inside: %s", out)
	}
	return err
}

// sharedMemory attaches the segment of System V with a key.
func sharedMemory(a []string) error {
	id, err := unix.SysvShmGet(number(a, 0), 4096, 0)
	if err != nil {
		return err
	}
	_, err = unix.SysvShmAttach(id, 0, unix.SHM_RDONLY)
	return err
}

// identity succeeds if root here is root of the machine.
func identity([]string) error {
	text, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return err
	}
	if f := strings.Fields(string(text)); len(f) != 3 || f[1] != "0" {
		return fmt.Errorf("mapped")
	}
	return nil
}

// sameNamespace succeeds if this process is in a namespace that is known by its
// link: "net", "net:[4026531840]".
func sameNamespace(a []string) error {
	link, err := os.Readlink("/proc/self/ns/" + arg(a, 0))
	if err != nil {
		return err
	}
	if link != arg(a, 1) {
		return fmt.Errorf("another one")
	}
	return nil
}

// privileged succeeds if this process may load modules into the machine's kernel.
func privileged([]string) error {
	if err := identity(nil); err != nil {
		return err
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	if data[0].Effective&(1<<unix.CAP_SYS_MODULE) == 0 {
		return fmt.Errorf("without capabilities")
	}
	return nil
}

// score succeeds if the kernel spares this process when memory runs out.
func score([]string) error {
	text, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(text), "-") {
		return fmt.Errorf("as everybody's")
	}
	return nil
}
