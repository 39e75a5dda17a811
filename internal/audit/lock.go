package audit

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
)

// lockWait is how long a writer waits for another one; a write takes
// milliseconds.
const lockWait = 30 * time.Second

// flock takes the lock of f, unix.LOCK_EX or unix.LOCK_SH, and gives up when ctx
// ends. It is freed by funlock, and by the kernel if the process dies.
func flock(ctx context.Context, f *os.File, how int) error {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB) // #nosec G115 -- a file descriptor
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return fault.Errorf(fault.Unavailable, "audit log: lock: %w", err)
		}
		select {
		case <-ctx.Done():
			return fault.Errorf(fault.Unavailable, "audit log: another process is writing to it: %w", ctx.Err())
		case <-time.After(pause):
		}
	}
}

func funlock(f *os.File) error {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_UN); err != nil { // #nosec G115 -- a file descriptor
		return fault.Errorf(fault.Unavailable, "audit log: unlock: %w", err)
	}
	return nil
}
