package egress

import (
	"fmt"
	"os"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
)

// bufferSize, in bytes, holds the largest transaction and its acknowledgements.
const bufferSize = 8 << 20

// Apply makes r the rules of the network namespace netns, in one transaction: if
// it fails, what was there holds on. Connections that were allowed before go on.
//
// netns must not be the network namespace that the caller is in, which is the
// host's: Denied. Where the kernel has no nftables the error is Unavailable.
func Apply(netns *os.File, r Rules) error {
	list, err := r.all()
	if err != nil {
		return err
	}
	if err := foreign(netns); err != nil {
		return err
	}
	conn, err := nftables.New(nftables.WithNetNSFd(int(netns.Fd())), nftables.WithSockOptions(large))
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	build(conn, r.Closed, list)
	if err := conn.Flush(); err != nil {
		return fault.Hint(fault.As(fault.Unavailable, fmt.Errorf("set the rules for what leaves the container: %w", err)), "modprobe -a nf_tables nft_ct nft_reject_inet")
	}
	return nil
}

func large(conn *netlink.Conn) error {
	if err := conn.SetReadBuffer(bufferSize); err != nil {
		return err
	}
	return conn.SetWriteBuffer(bufferSize)
}

// foreign refuses what is not a network namespace, and the caller's own. A
// descriptor of 0 would mean "where I am" to those who are asked next.
func foreign(netns *os.File) error {
	if netns == nil || int(netns.Fd()) <= 0 {
		return fault.Errorf(fault.Internal, "no network namespace was given")
	}
	kind, err := unix.IoctlRetInt(int(netns.Fd()), unix.NS_GET_NSTYPE)
	if err != nil || kind != unix.CLONE_NEWNET {
		return fault.Errorf(fault.Invalid, "%q is not a network namespace", netns.Name())
	}
	var its, ours unix.Stat_t
	if err := unix.Fstat(int(netns.Fd()), &its); err != nil {
		return fmt.Errorf("look at the network namespace: %w", err)
	}
	if err := unix.Stat("/proc/self/ns/net", &ours); err != nil {
		return fmt.Errorf("look at the own network namespace: %w", err)
	}
	if its.Dev == ours.Dev && its.Ino == ours.Ino {
		return fault.Errorf(fault.Denied, "the container has the host's network, whose rules are not ours to set")
	}
	return nil
}
