//go:build !linux

package engine

import (
	"net"

	"plimsoll/internal/fault"
)

func peerOf(*net.UnixConn) (uint32, error) {
	return noUser, fault.Errorf(fault.Unavailable, "only Linux says who is at the other end of a socket")
}
