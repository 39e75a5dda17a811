//go:build linux

package host

import (
	"context"
	"net"
	"os"
	"strings"

	"plimsoll/internal/fault"
)

// Ready tells systemd that this program is ready, as sd_notify(3) does. It does
// nothing where nobody waits to be told.
func Ready(ctx context.Context) error { return notify(ctx, os.Getenv("NOTIFY_SOCKET"), "READY=1") }

func notify(ctx context.Context, socket, state string) error {
	if socket == "" {
		return nil
	}
	if rest, ok := strings.CutPrefix(socket, "@"); ok {
		socket = "\x00" + rest // an abstract one
	}
	c, err := new(net.Dialer).DialContext(ctx, "unixgram", socket)
	if err != nil {
		return fault.Errorf(fault.Unavailable, "tell systemd: %w", err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(state)); err != nil {
		return fault.Errorf(fault.Unavailable, "tell systemd: %w", err)
	}
	return nil
}
