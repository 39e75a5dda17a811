package engine

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// inPipe is how much a pipe between two connections may hold, in bytes, if the
// kernel lets it.
const inPipe = 256 << 10

// splice moves all that from brings to to within the kernel (splice(2)), until one
// of them ends. It reports false, and has moved nothing, where that cannot be done:
// it can between two unix sockets.
func splice(to, from net.Conn) bool {
	out, in := unixSocket(to), unixSocket(from)
	if out == nil || in == nil {
		return false
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return false
	}
	defer func() { _ = errors.Join(unix.Close(pipe[0]), unix.Close(pipe[1])) }()
	_, _ = unix.FcntlInt(uintptr(pipe[1]), unix.F_SETPIPE_SZ, inPipe)
	for moved := false; ; moved = true {
		n, err := spliced(in.Read, func(fd int) (int64, error) { return unix.Splice(fd, nil, pipe[1], nil, inPipe, unix.SPLICE_F_NONBLOCK) })
		if err != nil || n == 0 {
			return moved || !errors.Is(err, unix.EINVAL)
		}
		for n > 0 {
			m, err := spliced(out.Write, func(fd int) (int64, error) { return unix.Splice(pipe[0], nil, fd, nil, int(n), unix.SPLICE_F_NONBLOCK) })
			if err != nil || m == 0 {
				return true
			}
			n -= m
		}
	}
}

// spliced calls move when the connection is ready, until it has moved something,
// the connection has ended, or there is an error.
func spliced(ready func(func(fd uintptr) bool) error, move func(fd int) (int64, error)) (n int64, err error) {
	waited := ready(func(fd uintptr) bool {
		for {
			if n, err = move(int(fd)); !errors.Is(err, unix.EINTR) {
				return !errors.Is(err, unix.EAGAIN)
			}
		}
	})
	return n, errors.Join(err, waited)
}

// unixSocket returns what a connection's socket is reached by, nil if it is
// another's than a unix socket's.
func unixSocket(c net.Conn) syscall.RawConn {
	if wrapped, ok := c.(*conn); ok {
		c = wrapped.Conn
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return nil
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}
