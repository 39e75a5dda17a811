//go:build !linux

package softpiv

import (
	"context"
	"errors"
)

// Slots is how many cards a [Daemon] takes.
const Slots = 2

// Daemon is a pcscd of its own, which only Linux can have.
type Daemon struct{ Socket string }

// Missing says that this is not Linux.
func Missing(context.Context) string { return "Linux" }

// Start fails.
func Start(context.Context, ...*Card) (*Daemon, error) {
	return nil, errors.New("start pcscd: not on Linux")
}

// Insert fails.
func (*Daemon) Insert(context.Context, int, *Card) error { return errors.New("not on Linux") }

// Pull does nothing.
func (*Daemon) Pull(int) {}

// Gone fails.
func (*Daemon) Gone(context.Context, int) error { return errors.New("not on Linux") }

// Stop does nothing.
func (*Daemon) Stop() error { return nil }
