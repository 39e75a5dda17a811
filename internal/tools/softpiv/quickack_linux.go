package softpiv

import (
	"fmt"
	"net"
	"syscall"
)

// quickACK has the kernel acknowledge at once: vpcd sends a message in two parts
// and would wait with the second for a delayed acknowledgement of the first
// (92 ms a command instead of 0.4).
func quickACK(conn net.Conn) error {
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return fmt.Errorf("set TCP_QUICKACK: %w", err)
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		set = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
	})
	if err == nil {
		err = set
	}
	if err != nil {
		return fmt.Errorf("set TCP_QUICKACK: %w", err)
	}
	return nil
}
