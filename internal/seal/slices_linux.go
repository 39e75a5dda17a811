package seal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/profile"
)

// CheckSlice refuses a slice of systemd's (systemd.slice(5)) in which containers
// could take more together than total. A slice that does not exist is refused if
// there is anything to hold. Control groups of version 1 are: systemd cannot bound
// swap there.
func (c *Cgroups) CheckSlice(slice string, total profile.Share) error {
	if total.CPUs == 0 && total.Memory == 0 && total.PIDs == 0 {
		return nil
	}
	if c.unified == "" {
		err := fault.Errorf(fault.Denied, "the profile's total cannot be enforced: the engine leaves control groups to systemd, and this host has version 1 of them")
		return fault.Hint(err, "native.cgroupdriver=cgroupfs in the engine's exec-opts, or boot with systemd.unified_cgroup_hierarchy=1")
	}
	group, err := slicePath(slice)
	if err != nil {
		return err
	}
	dir := filepath.Join(c.unified, group)
	for _, check := range []struct {
		name  string
		set   bool
		holds func() (bool, error)
	}{
		{"cpus", total.CPUs != 0, func() (bool, error) { return processorsWithin(dir, total.CPUs) }},
		{"memory", total.Memory != 0, func() (bool, error) { return within64(dir, "memory.max", total.Memory) }},
		{"memory", total.Memory != 0, func() (bool, error) { return noSwap(dir) }},
		{"pids", total.PIDs != 0, func() (bool, error) { return within64(dir, "pids.max", total.PIDs) }},
	} {
		if !check.set {
			continue
		}
		ok, err := check.holds()
		if err != nil {
			return fault.Errorf(fault.Denied, "the profile's total.%s is not enforced: the limits of %s cannot be read: %w", check.name, slice, err)
		}
		if !ok {
			return fault.Errorf(fault.Denied, "the profile's total.%s is not enforced: systemd does not hold %s to it", check.name, slice)
		}
	}
	return nil
}

// slicePath returns where systemd puts a slice: the one of each part of its name
// that ends before a dash lies above it.
func slicePath(slice string) (string, error) {
	name, ok := strings.CutSuffix(slice, ".slice")
	if !ok || name == "" || strings.Contains(name, "/") || strings.HasPrefix(name, "-") || strings.HasSuffix(name, "-") || strings.Contains(name, "--") {
		return "", fault.Errorf(fault.Invalid, "%.80q is no slice", slice)
	}
	path := ""
	for i, c := range name {
		if c == '-' {
			path = filepath.Join(path, name[:i]+".slice")
		}
	}
	return filepath.Join(path, slice), nil
}

func processorsWithin(dir string, cpus float64) (bool, error) {
	b, err := os.ReadFile(filepath.Join(dir, "cpu.max"))
	if err != nil {
		return false, err
	}
	f := strings.Fields(string(b))
	if len(f) != 2 || f[0] == unlimited {
		return false, nil
	}
	quota, err := strconv.ParseUint(f[0], 10, 63)
	if err != nil {
		return false, err
	}
	period, err := strconv.ParseUint(f[1], 10, 63)
	return err == nil && float64(quota) <= cpus*float64(period)+1, err // µs; systemd rounds
}

const unlimited = "max"

func within64(dir, file string, most int64) (bool, error) {
	b, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return false, err
	}
	text := strings.TrimSpace(string(b))
	if text == unlimited {
		return false, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return err == nil && n <= most, err
}

// noSwap reports whether what is below dir cannot swap: it may not, or the host
// does not.
func noSwap(dir string) (bool, error) {
	ok, err := within64(dir, "memory.swap.max", 0)
	if !errors.Is(err, fs.ErrNotExist) {
		return ok, err
	}
	b, err := os.ReadFile("/proc/swaps")
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return strings.Count(string(b), "\n") <= 1, err
}
