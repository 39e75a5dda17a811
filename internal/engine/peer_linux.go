package engine

import (
	"net"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
)

// peerOf returns the user at the other end of a unix socket, as the kernel noted
// it when the connection was made (SO_PEERCRED, unix(7)).
func peerOf(c *net.UnixConn) (uint32, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return noUser, fault.As(fault.Unavailable, err)
	}
	var cred *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	switch {
	case err != nil:
		return noUser, fault.As(fault.Unavailable, err)
	case failed != nil:
		return noUser, fault.As(fault.Unavailable, failed)
	case cred.Uid == noUser:
		return noUser, fault.Errorf(fault.Denied, "the peer has no user ID")
	}
	return cred.Uid, nil
}
