package seal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
)

// Kill ends everything in the container's groups and waits until it is gone.
func (c *Cgroups) Kill(ctx context.Context, team, id string) error {
	for {
		left := 0
		for _, tree := range c.trees {
			group := filepath.Join(tree, "plimsoll", team, id)
			file := filepath.Join(group, "cgroup.procs")
			pids, err := members(file)
			if err != nil {
				return err
			}
			if left += len(pids); len(pids) == 0 {
				// Version 2 does not name a process whose leader is gone and whose
				// last thread is on its way out, but holds the group for it.
				threads, err := members(filepath.Join(group, "cgroup.threads"))
				if err != nil {
					return err
				}
				left += len(threads)
			}
			for _, pid := range pids {
				if err := kill(pid, file); err != nil {
					return fmt.Errorf("end process %d of container %s: %w", pid, id, err)
				}
			}
		}
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fault.Errorf(fault.Unavailable, "%d processes or threads of container %s do not end: %w", left, id, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// members returns the processes of a group, none if the group does not exist.
// Those of other PID namespaces than ours read as 0 and are left out.
func members(file string) ([]int, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read members: %w", err)
	}
	var pids []int
	for line := range strings.FieldsSeq(string(b)) {
		if n, err := strconv.Atoi(line); err == nil && n > 0 {
			pids = append(pids, n)
		}
	}
	return pids, nil
}

// kill ends a member of a group: not one that got its number meanwhile.
func kill(pid int, file string) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	now, err := members(file)
	if err == nil && slices.Contains(now, pid) {
		err = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
	if errors.Is(err, unix.ESRCH) {
		err = nil
	}
	return errors.Join(err, unix.Close(fd))
}
