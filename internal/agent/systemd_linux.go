package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/profile"
	"plimsoll/internal/seal"
)

// Systemd is the manager of this host's services. It implements [Slices] by
// systemctl, which needs no message bus.
type Systemd struct {
	mu  sync.Mutex
	set map[string]profile.Share // by slice, as this process has set it
}

// systemctls are the places of systemctl.
var systemctls = []string{"/usr/bin/systemctl", "/bin/systemctl"}

// settle is how long systemd may take until what it was told is in the kernel.
const settle = 5 * time.Second

// Limit implements [Slices]: the settings are made, the slice is started, and the
// kernel's files say that they hold. They last until the host's next boot. The
// error is Unavailable if systemd cannot be told.
func (s *Systemd) Limit(ctx context.Context, slice string, total profile.Share) error {
	total.Storage = 0
	s.mu.Lock()
	defer s.mu.Unlock()
	groups, err := seal.FindCgroups()
	if err != nil {
		return err
	}
	if last, ok := s.set[slice]; ok && last == total && groups.CheckSlice(slice, total) == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	delete(s.set, slice)
	if err := systemctl(ctx, append([]string{"set-property", "--runtime", "--", slice}, properties(total)...)...); err != nil {
		return err
	}
	if err := systemctl(ctx, "start", "--", slice); err != nil {
		return err
	}
	for {
		err := groups.CheckSlice(slice, total)
		if err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
	if s.set == nil {
		s.set = map[string]profile.Share{}
	}
	s.set[slice] = total
	return nil
}

// properties returns settings of systemd.resource-control(5).
func properties(total profile.Share) []string {
	memory, swap, tasks, quota := infinity, infinity, infinity, ""
	if total.Memory != 0 {
		memory, swap = strconv.FormatInt(total.Memory, 10), "0"
	}
	if total.PIDs != 0 {
		tasks = strconv.FormatInt(total.PIDs, 10)
	}
	if total.CPUs != 0 {
		quota = strconv.FormatFloat(max(math.Floor(total.CPUs*1e4)/1e2, 0.01), 'f', 2, 64) + "%"
	}
	return []string{"MemoryMax=" + memory, "MemorySwapMax=" + swap, "TasksMax=" + tasks, "CPUQuota=" + quota}
}

const infinity = "infinity"

func systemctl(ctx context.Context, args ...string) error {
	for _, path := range systemctls {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Env = []string{"LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
		if out, err := cmd.CombinedOutput(); err != nil {
			return fault.As(fault.Unavailable, fmt.Errorf("systemd: %s: %w: %q", args[0], err, bytes.TrimSpace(out)))
		}
		return nil
	}
	return fault.Errorf(fault.Unavailable, "the engine leaves control groups to systemd, and this host has no systemctl")
}
