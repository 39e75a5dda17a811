package egress

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"

	"plimsoll/internal/fault"
)

// maxState bounds a container's state, in bytes.
const maxState = 1 << 20

// Hook is the body of an OCI hook (runtime-spec, runtime.md "State"; config.md
// "POSIX-platform Hooks"): it reads the state of a container that is being made,
// whose network namespace exists, from stdin, and applies what rules says for its
// ID. createRuntime is its place: engines that bring network interfaces in by a
// prestart hook have done so then, and no program of the container has run.
//
// Any error must keep the container from starting; runtimes see to that.
func Hook(ctx context.Context, stdin io.Reader, rules func(ctx context.Context, id string) (Rules, error)) error {
	id, pid, err := readState(stdin)
	if err != nil {
		return err
	}
	r, err := rules(ctx, id)
	if err != nil {
		return err
	}
	netns, err := os.Open("/proc/" + strconv.Itoa(pid) + "/ns/net")
	if err != nil {
		return fmt.Errorf("open the container's network namespace: %w", err)
	}
	defer func() { _ = netns.Close() }()
	return Apply(netns, r)
}

func readState(r io.Reader) (id string, pid int, err error) {
	b, err := io.ReadAll(io.LimitReader(r, maxState+1))
	if err != nil {
		return "", 0, fmt.Errorf("read the container's state: %w", err)
	}
	var s struct {
		ID  string `json:"id"`
		PID int    `json:"pid"`
	}
	if len(b) > maxState {
		return "", 0, fault.Errorf(fault.Invalid, "the container's state is longer than %d bytes", maxState)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return "", 0, fault.Errorf(fault.Invalid, "read the container's state: %w", err)
	}
	if s.ID == "" || s.PID <= 0 {
		return "", 0, fault.Errorf(fault.Invalid, "the container's state has no ID or no process")
	}
	return s.ID, s.PID, nil
}
