package shim

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
	"plimsoll/internal/seal"
)

// passedOn are signals that are meant for the container of a run.
var passedOn = []os.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2}

// supervise runs a runtime to its end and returns its exit code, 128+n if signal
// n ended it. limits, if not nil, are those of the container's first process. The
// runtime dies with this process: nobody would put away what it leaves.
func (s *shim) supervise(path string, args []string, limits []specs.POSIXRlimit) (int, error) {
	if err := keepNothing(); err != nil {
		return 0, err
	}
	// Package os would start a process to find out whether processes have
	// descriptors, and another goroutine for the context, which nobody ends.
	pid, err := syscall.ForkExec(path, slices.Concat([]string{path}, args), &syscall.ProcAttr{
		Env: environment(), Files: []uintptr{0, 1, 2},
		Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Ptrace: limits != nil},
	})
	if err != nil {
		return 0, fault.As(fault.Unavailable, fmt.Errorf("start runtime %q: %w", path, err))
	}
	if limits != nil {
		if err := limitStopped(pid, limits); err != nil {
			err = errors.Join(err, unix.Kill(pid, unix.SIGKILL))
			_, waitErr := waitFor(pid)
			return 0, errors.Join(err, waitErr)
		}
	}
	if err := s.attend(pid); err != nil {
		return 0, err
	}
	status, err := waitFor(pid)
	if err != nil {
		return 0, err
	}
	if status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return status.ExitStatus(), nil
}

// attend waits until a runtime has ended, and leaves its number taken. Meanwhile
// one that runs a container gets the signals for it: other calls are short, and
// what they leave when they are killed is put away by the next.
func (s *shim) attend(pid int) error {
	if !s.attended {
		return waitForEnd(pid)
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, passedOn...)
	defer signal.Stop(signals)
	done := make(chan struct{})
	var passing sync.WaitGroup
	passing.Go(func() {
		for {
			select {
			case got := <-signals:
				if n, ok := got.(syscall.Signal); ok {
					_ = unix.Kill(pid, n) // it may have ended
				}
			case <-done:
				return
			}
		}
	})
	defer passing.Wait()
	defer close(done)
	return waitForEnd(pid)
}

// waitForEnd waits until a child has ended, and leaves its number taken.
func waitForEnd(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for runtime: %w", err)
		}
	}
}

func waitFor(pid int) (status unix.WaitStatus, err error) {
	for {
		_, err := unix.Wait4(pid, &status, 0, nil)
		if err == nil {
			return status, nil
		}
		if !errors.Is(err, unix.EINTR) {
			return status, fmt.Errorf("wait for runtime: %w", err)
		}
	}
}

// limitStopped sets limits on a child that is stopped before its first
// instruction, and lets it go on. On this process they would also hold for what
// it still has to do.
func limitStopped(pid int, limits []specs.POSIXRlimit) error {
	status, err := waitFor(pid)
	if err != nil {
		return err
	}
	if !status.Stopped() {
		return fault.Errorf(fault.Unavailable, "the runtime ended before it started: status %#x", uint32(status))
	}
	if err := seal.LimitProcess(pid, limits); err != nil {
		return err
	}
	if err := unix.PtraceDetach(pid); err != nil {
		return fmt.Errorf("let runtime go on: %w", err)
	}
	return nil
}
