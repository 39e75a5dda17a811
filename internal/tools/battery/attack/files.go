//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func init() {
	attempts["openw"] = func(a []string) error { return open(arg(a, 0), os.O_WRONLY) }
	attempts["read"] = read
	attempts["create"] = create
	attempts["setuid"] = leaveSetuid
	attempts["mknod"] = node
	attempts["readdevice"] = func(a []string) error { return readDevice(arg(a, 0)) }
	attempts["socket"] = dial
	attempts["mount"] = mountTmpfs
	attempts["mounthere"] = mountOver
	attempts["release"] = releaseAgent
	attempts["fill"] = fill
	attempts["swap"] = swap
	attempts["runtime"] = foreignExecutable
	attempts["handle"] = byHandle
}

func open(path string, flags int) error {
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func read(a []string) error {
	f, err := os.Open(arg(a, 0))
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.ReadFull(f, make([]byte, 1)); err != nil {
		return err // EOF, too: what is masked is empty
	}
	return nil
}

func create(a []string) error { return open(arg(a, 0), os.O_WRONLY|os.O_CREATE|os.O_EXCL) }

// leaveSetuid copies this program into a folder as root's and setuid.
func leaveSetuid(a []string) error {
	text, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	path := arg(a, 0)
	if err := os.WriteFile(path, text, 0o755); err != nil {
		return err
	}
	return unix.Chmod(path, 0o4755)
}

// node makes a block device of a major and a minor number and reads it.
func node(a []string) error {
	if err := unix.Mknod("/tmp/node", unix.S_IFBLK|0o666, int(unix.Mkdev(uint32(number(a, 0)), uint32(number(a, 1))))); err != nil {
		return fmt.Errorf("mknod: %w", err)
	}
	return readDevice("/tmp/node")
}

func readDevice(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Read(make([]byte, 512))
	return err
}

// dial asks an engine for its version.
func dial(a []string) error {
	c, err := (&net.Dialer{}).DialContext(context.Background(), "unix", arg(a, 0))
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /version HTTP/1.0\r\n\r\n"); err != nil {
		return err
	}
	answer := make([]byte, 12)
	if _, err := io.ReadFull(c, answer); err != nil || !strings.HasSuffix(string(answer), "200") {
		return fmt.Errorf("answer %q: %w", answer, err)
	}
	return nil
}

// mountTmpfs mounts and says so at once; the mount stays until the container ends.
func mountTmpfs(a []string) error { return unix.Mount("attack", arg(a, 0), "tmpfs", 0, "size=1m") }

// mountOver mounts and waits, for a look from outside.
func mountOver(a []string) error {
	err := mountTmpfs(a)
	say(err)
	time.Sleep(time.Hour)
	return err
}

// releaseAgent opens the release_agent of a control group hierarchy of its own
// name, which is root on the host for whoever writes it.
func releaseAgent([]string) error {
	dir := "/tmp/hierarchy"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("attack", dir, "cgroup", 0, "none,name=plimsollattack"); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	return errors.Join(open(filepath.Join(dir, "release_agent"), os.O_WRONLY), unix.Unmount(dir, 0))
}

// fill writes as many MiB to a file as asked, and removes it.
func fill(a []string) error {
	f, err := os.Create(arg(a, 0))
	if err != nil {
		return err
	}
	defer f.Close()
	defer os.Remove(f.Name())
	block, n := make([]byte, 1<<20), 0
	for ; n < number(a, 1) && err == nil; n++ {
		_, err = f.Write(block)
	}
	return counted{n, err}
}

// swap exchanges a folder and a symbolic link that leads to a target, as fast
// as it can, for ever.
func swap(a []string) error {
	path, target := arg(a, 0), arg(a, 1)
	other := path + ".other"
	if err := errors.Join(os.MkdirAll(path, 0o755), os.Symlink(target, other)); err != nil {
		return err
	}
	for {
		if err := unix.Renameat2(unix.AT_FDCWD, path, unix.AT_FDCWD, other, unix.RENAME_EXCHANGE); err != nil {
			return err
		}
	}
}

// foreignExecutable waits for a process whose executable is not of this
// container (the runtime's, while it joins) and tries to open that for writing,
// until the time of its argument, in seconds, is over (CVE-2019-5736).
func foreignExecutable(a []string) error {
	last, seen := fmt.Errorf("no foreign executable was seen"), 0
	for end := time.Now().Add(time.Duration(number(a, 0)) * time.Second); time.Now().Before(end); {
		links, err := filepath.Glob("/proc/[0-9]*/exe")
		if err != nil {
			return err
		}
		for _, link := range links {
			path, err := os.Readlink(link)
			if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
				last = err // it is there, and may not be looked at
				continue
			}
			if err != nil || strings.HasPrefix(path, "/bin/") {
				continue
			}
			if seen++; seen == 1 {
				last = fmt.Errorf("%s was seen", path)
			}
			fd, err := unix.Open(link, unix.O_PATH, 0)
			if err != nil {
				last = err
				continue
			}
			for range 200 { // busy until the process is gone
				w, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_WRONLY, 0)
				if err == nil {
					return errors.Join(unix.Close(w), unix.Close(fd))
				}
				last = err
				time.Sleep(time.Millisecond)
			}
			if err := unix.Close(fd); err != nil {
				return err
			}
		}
	}
	return last
}

// byHandle opens the root of the file system below a path by its handle, which
// leads out of any mount (2 is its inode's number on ext4).
func byHandle(a []string) error {
	mount, err := unix.Open(arg(a, 0), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(mount)
	fd, err := unix.OpenByHandleAt(mount, unix.NewFileHandle(1, []byte{2, 0, 0, 0, 0, 0, 0, 0}), unix.O_RDONLY)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}
