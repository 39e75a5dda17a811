package shim

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
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
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, passedOn...)
	defer signal.Stop(signals)
	cmd := exec.CommandContext(s.ctx, path, args...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = environment(), os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Ptrace: limits != nil}
	if err := cmd.Start(); err != nil {
		return 0, fault.As(fault.Unavailable, fmt.Errorf("start runtime %q: %w", path, err))
	}
	if limits != nil {
		if err := limitStopped(cmd.Process.Pid, limits); err != nil {
			return 0, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
		}
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case got := <-signals:
				_ = cmd.Process.Signal(got) // it may have ended
			case <-done:
				return
			}
		}
	}()
	var ended *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &ended) {
		return 0, fmt.Errorf("wait for runtime: %w", err)
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return cmd.ProcessState.ExitCode(), nil
}

// limitStopped sets limits on a child that is stopped before its first
// instruction, and lets it go on. On this process they would also hold for what
// it still has to do.
func limitStopped(pid int, limits []specs.POSIXRlimit) error {
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(pid, &status, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("wait for runtime: %w", err)
		}
		break
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
