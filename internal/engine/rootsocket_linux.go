package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
)

// ListenRoot listens on the unix socket path, which only root can reach: its
// folder is made if needed and has mode 0700, the socket 0600, and a connection
// of anybody else is closed unheard. A socket that was left there is replaced; a
// file that is no socket is an error.
func ListenRoot(ctx context.Context, path string) (net.Listener, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.Errorf(fault.Unavailable, "folder of socket: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return nil, fault.Errorf(fault.Unavailable, "folder of socket: %w", err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(st.Uid) != os.Geteuid() {
		return nil, fault.Errorf(fault.Unavailable, "folder of socket %q is not a folder of its own user", dir)
	}
	if err := os.Chmod(dir, 0o700); err != nil { // #nosec G302 -- a folder
		return nil, fault.Errorf(fault.Unavailable, "folder of socket: %w", err)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != os.ModeSocket {
		return nil, fault.Errorf(fault.Conflict, "%q is there and is no socket", path)
	} else if err == nil {
		if err := os.Remove(path); err != nil {
			return nil, fault.Errorf(fault.Unavailable, "old socket: %w", err)
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fault.Errorf(fault.Unavailable, "listen: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fault.Errorf(fault.Unavailable, "socket: %w", err), l.Close())
	}
	return &rootListener{l}, nil
}

// rootListener accepts root's connections only.
type rootListener struct{ net.Listener }

func (l *rootListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if uid, err := peerUID(c); err == nil && (uid == 0 || int(uid) == os.Geteuid()) {
			return c, nil
		}
		_ = c.Close()
	}
}

// peerUID returns who connected, as the kernel says.
func peerUID(c net.Conn) (uint32, error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return 0, fmt.Errorf("not a unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err = errors.Join(err, failed); err != nil {
		return 0, err
	}
	return cred.Uid, nil
}
