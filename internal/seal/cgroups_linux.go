package seal

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
	"plimsoll/internal/profile"
)

// Cgroups are the control groups of this host (cgroups(7)): one tree for all
// controllers (version 2), or one for each set of them (version 1).
type Cgroups struct {
	unified string            // mount of the one tree, "" on version 1
	v1      map[string]string // controller → mount
	trees   []string          // all mounts of any version
}

// controllers that a team's and a container's limits need.
var controllers = []string{"cpu", "memory", "pids"}

// FindCgroups returns the control groups that this process sees mounted.
func FindCgroups() (*Cgroups, error) {
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil {
		return nil, fmt.Errorf("find control groups: %w", err)
	}
	return newCgroups(mounts)
}

func newCgroups(mounts []*mountinfo.Info) (*Cgroups, error) {
	c := &Cgroups{v1: map[string]string{}}
	for _, m := range mounts {
		c.trees = append(c.trees, m.Mountpoint)
		if m.FSType == "cgroup2" {
			c.unified = cmp.Or(c.unified, m.Mountpoint) // later ones are for somebody's container
			continue
		}
		for option := range strings.SplitSeq(m.VFSOptions, ",") {
			if option != "rw" {
				c.v1[option] = cmp.Or(c.v1[option], m.Mountpoint)
			}
		}
	}
	if slices.ContainsFunc(controllers, func(name string) bool { return c.v1[name] != "" }) {
		c.unified = "" // the version 2 tree beside it lacks what version 1 has
	}
	for _, name := range controllers {
		if c.unified == "" && c.v1[name] == "" {
			return nil, fault.Errorf(fault.Unavailable, "limits cannot be held: no control group of %q is mounted", name)
		}
	}
	return c, nil
}

// tree returns the mount that a controller's files are in.
func (c *Cgroups) tree(controller string) string {
	if c.unified != "" {
		return c.unified
	}
	return c.v1[controller]
}

// SwapAccounted reports whether a limit can include swap.
func (c *Cgroups) SwapAccounted() bool {
	if c.unified != "" {
		// The root has no such file; the check is made on our own group.
		_, err := os.Stat(filepath.Join(c.unified, "plimsoll", "memory.swap.max"))
		return err == nil
	}
	_, err := os.Stat(filepath.Join(c.v1["memory"], "memory.memsw.limit_in_bytes"))
	return err == nil
}

// CheckSwap refuses hosts on which a container could leave its memory limit for
// swap that nobody counts.
func (c *Cgroups) CheckSwap() error {
	b, err := os.ReadFile("/proc/swaps")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fault.As(fault.Unavailable, err)
	}
	if c.unified == "" && strings.Count(string(b), "\n") > 1 && !c.SwapAccounted() {
		err := fault.Errorf(fault.Denied, "the profile's memory cannot be enforced: this host swaps, and does not count swap")
		return fault.Hint(err, "boot with swapaccount=1, or swapoff -a")
	}
	return nil
}

// Prepare makes the groups of the team and, in them, of the container id, and
// sets what the team may take in all.
func (c *Cgroups) Prepare(team, id string, total profile.Share, ioWeight bool) error {
	group := filepath.Join("plimsoll", team)
	needed := controllers
	if ioWeight {
		needed = append(slices.Clone(needed), c.ioController())
	}
	for _, controller := range needed {
		tree := c.tree(controller)
		if tree == "" {
			return fault.Errorf(fault.Denied, "the profile's io.weight cannot be enforced: this host has no control group of block devices")
		}
		if err := c.make(tree, filepath.Join(group, id), needed); err != nil {
			return fault.As(fault.Unavailable, fmt.Errorf("make control group of team %q: %w", team, err))
		}
	}
	if err := c.hold(filepath.Join(group, id)); err != nil {
		return fault.As(fault.Unavailable, fmt.Errorf("make control group of team %q: %w", team, err))
	}
	if ioWeight && !c.weighs(filepath.Join(group, id)) {
		return fault.Errorf(fault.Denied, "the profile's io.weight cannot be enforced: this kernel does not weigh block devices")
	}
	if err := c.limit(group, total); err != nil {
		return fault.As(fault.Unavailable, fmt.Errorf("limit team %q: %w", team, err))
	}
	return nil
}

// Unified reports whether there is one tree for all controllers.
func (c *Cgroups) Unified() bool { return c.unified != "" }

// hold makes the container's group in the trees of version 1 that have none of
// our limits too. The runtime puts the container there as well, and would find
// the team's group gone if another container of the team ended just then.
func (c *Cgroups) hold(group string) error {
	for _, tree := range slices.Compact(slices.Sorted(maps.Values(c.v1))) {
		if err := c.make(tree, group, nil); err != nil && !errors.Is(err, unix.EROFS) {
			return err
		}
	}
	return nil
}

func (c *Cgroups) ioController() string {
	if c.unified != "" {
		return "io"
	}
	return "blkio"
}

func (c *Cgroups) weighs(group string) bool {
	for _, file := range []string{"io.weight", "io.bfq.weight", "blkio.weight", "blkio.bfq.weight"} {
		if _, err := os.Stat(filepath.Join(c.tree(c.ioController()), group, file)); err == nil {
			return true
		}
	}
	return false
}

// make makes the group and those above it. On version 2 each of them hands the
// controllers down. A group above it may vanish meanwhile, with the last
// container that ends in it.
func (c *Cgroups) make(tree, group string, needed []string) error {
	const tries = 100
	for try := 1; ; try++ {
		err := c.tryMake(tree, group, needed)
		if gone := errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV); !gone || try == tries {
			return err
		}
	}
}

func (c *Cgroups) tryMake(tree, group string, needed []string) error {
	dir := tree
	for part := range strings.SplitSeq(group, "/") {
		if c.unified != "" {
			if err := enable(dir, needed); err != nil {
				return err
			}
		}
		dir = filepath.Join(dir, part)
		err := os.Mkdir(dir, 0o755) //nolint:gosec // a control group: what is in it is no secret
		if err == nil {
			err = os.Chmod(dir, 0o755) //nolint:gosec // whatever the umask took: the container mounts its group
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

func enable(dir string, needed []string) error {
	file := filepath.Join(dir, "cgroup.subtree_control")
	for _, controller := range needed {
		if err := write(file, "+"+controller); err != nil {
			return fmt.Errorf("hand down %q: %w", controller, err)
		}
	}
	return nil
}

// setting is one file of a group and what is written into it.
type setting struct{ controller, file, value string }

// limit sets what all groups below the group may take together. A share of 0
// takes an earlier limit away.
func (c *Cgroups) limit(group string, total profile.Share) error {
	settings := c.settings(total)
	for _, s := range settings {
		path := filepath.Join(c.tree(s.controller), group, s.file)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && strings.Contains(s.file, "sw") {
			continue // no swap is accounted for; Runner refuses hosts that have some
		}
		if err := write(path, s.value); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cgroups) settings(total profile.Share) []setting {
	quota, memory, pids := "-1", "-1", "max"
	if total.CPUs != 0 {
		quota = strconv.FormatInt(int64(math.Round(total.CPUs*cpuPeriod)), 10)
	}
	if total.Memory != 0 {
		memory = strconv.FormatInt(total.Memory, 10)
	}
	if total.PIDs != 0 {
		pids = strconv.FormatInt(total.PIDs, 10)
	}
	if c.unified == "" {
		// Memory with swap may never be less than memory alone: lift it, set the
		// one, then the other.
		return []setting{
			{"cpu", "cpu.cfs_period_us", strconv.Itoa(cpuPeriod)},
			{"cpu", "cpu.cfs_quota_us", quota},
			{"memory", "memory.memsw.limit_in_bytes", "-1"},
			{"memory", "memory.limit_in_bytes", memory},
			{"memory", "memory.memsw.limit_in_bytes", memory},
			{"pids", "pids.max", pids},
		}
	}
	swap := "0"
	if quota == "-1" {
		quota = "max"
	}
	if memory == "-1" {
		memory, swap = "max", "max"
	}
	return []setting{
		{"cpu", "cpu.max", quota + " " + strconv.Itoa(cpuPeriod)},
		{"memory", "memory.max", memory},
		{"memory", "memory.swap.max", swap},
		{"pids", "pids.max", pids},
	}
}

// Remove removes the container's groups, and the team's if it has no other
// container. Nothing may run in them any more.
func (c *Cgroups) Remove(team, id string) error {
	for _, tree := range c.trees {
		dir := filepath.Join(tree, "plimsoll", team)
		if err := os.Remove(filepath.Join(dir, id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove control group: %w", err)
		}
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("remove control group: %w", err)
		}
	}
	return nil
}

// write writes into a file of the kernel's, which must exist. Package os would
// take twice as many calls of the kernel for one.
func write(path, value string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	if _, err = unix.Write(fd, []byte(value)); err != nil {
		err = &fs.PathError{Op: "write", Path: path, Err: err}
	}
	return errors.Join(err, unix.Close(fd))
}
