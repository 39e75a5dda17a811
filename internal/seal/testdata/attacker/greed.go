package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Attempts that take what all containers of a host share, or that outlive
// their own container.
func init() {
	attempts["aio"] = func([]string) error {
		var context uint64
		return call(unix.SYS_IO_SETUP, 60000, addressOf(&context))
	}
	attempts["ptys"] = ptys
	attempts["deep"] = deep
	attempts["giveout"] = giveOut
	attempts["holdout"] = holdOut
}

// ptys opens up to the number of pseudoterminals that its argument names.
func ptys(a []string) error {
	n := 0
	var err error
	for ; n < int(num(a[0], 10)) && err == nil; n++ {
		_, err = unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY, 0)
	}
	fmt.Println("ptys", n)
	return err
}

// deep makes a chain of folders in /deep, as many as its argument says, deeper
// than any path can name. So that the chain does not cost memory by its depth,
// it is made of short ones: each is moved to the end of the one before.
func deep(a []string) error {
	runtime.LockOSThread()
	total, top := int(num(a[0], 10)), "/deep"
	const short = 1000
	if err := os.Mkdir(top, 0o755); err != nil {
		return err
	}
	for made := 0; made < total; made += short {
		next := "/next" + strconv.Itoa(made)
		if err := chain(next, short, top); err != nil {
			return fmt.Errorf("after %d: %w", made, err)
		}
		if err := errors.Join(os.Chdir("/"), os.Rename(next, top)); err != nil {
			return err
		}
	}
	fmt.Println("deep", total)
	return nil
}

// chain makes n folders in each other, and moves the folder tail to their end.
func chain(name string, n int, tail string) error {
	if err := errors.Join(os.Mkdir(name, 0o755), os.Chdir(name)); err != nil {
		return err
	}
	root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	for range n {
		if err := unix.Mkdir("d", 0o755); err != nil {
			return err
		}
		if err := unix.Chdir("d"); err != nil {
			return err
		}
	}
	return errors.Join(unix.Renameat(root, tail[1:], unix.AT_FDCWD, "d"), unix.Close(root))
}

// giveOut hands its standard output to whoever listens at the socket.
func giveOut(a []string) error {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: a[0]})
	if err != nil {
		return err
	}
	_, _, err = c.WriteMsgUnix([]byte("x"), unix.UnixRights(1), nil)
	return err
}

// holdOut keeps what giveOut of another container hands out, and writes to it.
func holdOut(a []string) error {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: a[0]})
	if err != nil {
		return err
	}
	if err := os.Chmod(a[0], 0o777); err != nil {
		return err
	}
	c, err := l.AcceptUnix()
	if err != nil {
		return err
	}
	rights := make([]byte, 64)
	_, n, _, _, err := c.ReadMsgUnix(make([]byte, 1), rights)
	if err != nil {
		return err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil || len(messages) != 1 {
		return fmt.Errorf("%d messages: %w", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return err
	}
	for {
		if _, err := unix.Write(fds[0], []byte("still here\n")); err != nil {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}
