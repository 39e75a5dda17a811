package seal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"plimsoll/internal/fault"
)

// counting are the controllers of version 1 that count what a process takes. Those
// that would stop a helper (freezer, pids) are not among them.
var counting = []string{"memory", "cpu", "cpuacct", "blkio"}

// Charged are the groups that what a container takes is counted in, as files that
// take process IDs.
type Charged []string

// ChargedOf returns the groups that the process is in (proc_pid_cgroup(5)).
func (c *Cgroups) ChargedOf(pid int) (Charged, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	groups, err := c.charged(string(b))
	if err != nil {
		return nil, fault.Errorf(fault.Unavailable, "process %d: %w", pid, err)
	}
	return groups, nil
}

// charged reads lines of "hierarchy:controllers:path"; version 2 is hierarchy 0.
func (c *Cgroups) charged(lines string) (Charged, error) {
	var groups Charged
	memory := false
	for line := range strings.Lines(lines) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) != 3 || !filepath.IsAbs(f[2]) {
			return nil, fmt.Errorf("its control groups read %.80q", line)
		}
		names := strings.Split(f[1], ",")
		i := slices.IndexFunc(names, func(name string) bool { return slices.Contains(counting, name) && c.v1[name] != "" })
		var tree string
		switch {
		case c.unified != "" && f[0] == "0":
			tree, memory = c.unified, true
		case c.unified == "" && i >= 0:
			tree, memory = c.v1[names[i]], memory || slices.Contains(names, "memory")
		default:
			continue
		}
		groups = append(groups, filepath.Join(tree, f[2], "cgroup.procs"))
	}
	if !memory {
		return nil, errors.New("it is in no control group that counts memory")
	}
	return groups, nil
}

// Join puts the process into the groups. What it took before stays where it was
// counted; if memory runs out there, it is the first to end.
func (g Charged) Join(pid int) error {
	err := write(fmt.Sprintf("/proc/%d/oom_score_adj", pid), "1000")
	for _, file := range g {
		if err == nil {
			err = write(file, strconv.Itoa(pid))
		}
	}
	return err
}
