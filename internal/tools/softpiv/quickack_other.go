//go:build !linux

package softpiv

import "net"

func quickACK(net.Conn) error { return nil }
