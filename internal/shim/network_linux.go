package shim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
	"plimsoll/internal/seal/protocol"
)

// networkHook is our hook in the place of Docker's.
const networkHook = "network-hook"

// maxState bounds the state of a container that a hook is given (runtime-spec,
// runtime.md "State"), in bytes.
const maxState = 1 << 20

// setNetwork is called by the runtime instead of Docker's own hook, whose program
// and arguments follow. That program is the engine's, takes 30 ms and more to start, and
// says one sentence to the engine that runs: we say it. If the engine does not
// answer it as expected, its own program is started after all.
func (s *shim) setNetwork(c *call) error {
	if len(c.args) != 5 {
		return fault.Errorf(fault.Usage, "%s is not for people", networkHook)
	}
	state, err := io.ReadAll(io.LimitReader(os.Stdin, maxState))
	if err != nil {
		return fmt.Errorf("read the container's state: %w", err)
	}
	folder, id, controller := strings.TrimPrefix(c.args[2], "-exec-root="), c.args[3], c.args[4]
	told := s.tellNetwork(filepath.Join(folder, "libnetwork", controller+".sock"), id, state)
	if told == nil {
		return nil
	}
	return errors.Join(standIn(state, c.args[0], c.args[1:]), told)
}

// tellNetwork tells the engine on its socket where the container's network
// namespace is (moby, libnetwork/sandbox_externalkey_unix.go).
func (s *shim) tellNetwork(socket, id string, state []byte) (err error) {
	var container struct {
		PID int `json:"pid"`
	}
	if err := json.Unmarshal(state, &container); err != nil {
		return fault.Errorf(fault.Invalid, "the container's state: %w", err)
	}
	if container.PID <= 0 {
		return fault.Errorf(fault.Invalid, "the container's state has no process")
	}
	message, err := json.Marshal(struct{ ContainerID, Key string }{id, "/proc/" + strconv.Itoa(container.PID) + "/ns/net"})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.config.deadline()) // to be heard; the answer takes what it takes
	defer cancel()
	f, err := protocol.Dial(ctx, socket)
	if err != nil {
		return fmt.Errorf("engine's socket %q: %w", socket, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(message); err != nil {
		return fmt.Errorf("engine's socket %q: %w", socket, err)
	}
	answer := make([]byte, 1024)
	n, err := f.Read(answer)
	if err == nil && string(answer[:n]) != "success" {
		err = fault.Errorf(fault.Unavailable, "the answer is %q", answer[:n])
	}
	return err
}

// standIn becomes another hook, which reads the state from its standard input.
func standIn(state []byte, path string, args []string) error {
	fd, err := unix.MemfdCreate("state", 0)
	if err != nil {
		return err
	}
	if _, err := unix.Pwrite(fd, state, 0); err != nil {
		return err
	}
	if err := unix.Dup3(fd, 0, 0); err != nil {
		return err
	}
	return syscall.Exec(path, args, os.Environ())
}
