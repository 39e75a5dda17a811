package protocol

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
)

// Ask puts q to the guard that listens on socket and returns what it grants. It
// fills in q.Version. No grant in time, or one that makes no sense, is an error
// as a refusal is; ctx must have a deadline.
func Ask(ctx context.Context, socket string, q Question) (*Grant, error) {
	a, err := exchange(ctx, socket, q)
	if err != nil {
		return nil, err
	}
	return a.grant()
}

// Tell reports to the guard, whose answer has neither a grant nor an error if it
// has taken note.
func Tell(ctx context.Context, socket string, q Question) error {
	a, err := exchange(ctx, socket, q)
	if err != nil {
		return err
	}
	if a.Version != Version {
		return otherVersion(a.Version)
	}
	if a.refuses() {
		return a.refusal()
	}
	return nil
}

// exchange sends one message and receives one. Package net would cost a runtime
// more to start than the exchange.
func exchange(ctx context.Context, socket string, q Question) (a *Answer, err error) {
	q.Version = Version
	if err := q.Validate(); err != nil {
		return nil, err
	}
	f, err := Dial(ctx, socket)
	if err != nil {
		err = fault.As(fault.Unavailable, fmt.Errorf("ask the guard on %q: %w", socket, err))
		return nil, fault.Hint(err, "systemctl status plimsoll-guard; without the guard nothing new starts")
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	stop := context.AfterFunc(ctx, func() { _ = f.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := Write(f, q); err != nil {
		return nil, asking(ctx, err)
	}
	a = new(Answer)
	if err := Read(f, a); err != nil {
		return nil, asking(ctx, err)
	}
	return a, nil
}

func asking(ctx context.Context, err error) error {
	if late := ctx.Err(); late != nil {
		return fault.As(fault.Unavailable, fmt.Errorf("ask the guard: it did not answer in time: %w", late))
	}
	return fmt.Errorf("ask the guard: %w", err)
}

// Dial connects to a socket that root listens on. Until then ctx bounds it, which
// must have a deadline.
func Dial(ctx context.Context, socket string) (*os.File, error) {
	end, ok := ctx.Deadline()
	if !ok {
		return nil, errors.New("no deadline is set")
	}
	left := time.Until(end)
	if left <= 0 || ctx.Err() != nil {
		return nil, context.DeadlineExceeded
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := connect(fd, socket, left); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), socket), nil
}

// connect waits at most for the time left where the guard's queue is full. A
// socket that others than root listen on is not the guard's.
func connect(fd int, socket string, left time.Duration) error {
	timeout := unix.NsecToTimeval(left.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &timeout); err != nil {
		return err
	}
	err := unix.Connect(fd, &unix.SockaddrUnix{Name: socket})
	for errors.Is(err, unix.EINTR) {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: socket})
	}
	if err != nil {
		return err
	}
	peer, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return err
	}
	if peer.Uid != 0 {
		return fault.Errorf(fault.Denied, "user %d listens there, not root", peer.Uid)
	}
	return unix.SetNonblock(fd, true)
}
