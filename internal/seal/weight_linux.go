package seal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Weighs refuses a folder on whose disks the kernel does not weigh what control
// groups read and write: the weight can be set almost everywhere, and means
// something only where the scheduler is BFQ, or where the root's io.cost.qos has
// the disk enabled. The latter does not count where BFQ is loaded, since runtimes
// then set its weight and not the other.
func Weighs(dir string) error {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return fmt.Errorf("the disk of %q: %w", dir, err)
	}
	c, err := FindCgroups()
	if err != nil {
		return err
	}
	d := disks{sys: "/sys", cost: filepath.Join(c.unified, "io.cost.qos")}
	if c.unified == "" {
		d.cost = ""
	}
	number := fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	if err := d.weigh(number, maxStacked); err != nil {
		return cannot("io.weight", "%q: %w", dir, err)
	}
	return nil
}

// maxStacked is how many devices may lie on each other.
const maxStacked = 16

// disks are this host's, as it shows them in the folder sys.
type disks struct{ sys, cost string }

// weigh returns nil if the device, or all that it lies on, weighs.
func (d disks) weigh(number string, depth int) error {
	dir, err := filepath.EvalSymlinks(filepath.Join(d.sys, "dev/block", number))
	if errors.Is(err, fs.ErrNotExist) || depth == 0 {
		return fmt.Errorf("%s is no disk of this host's alone", number)
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "partition")); err == nil { //nolint:gosec // below /sys
		dir = filepath.Dir(dir)
	}
	below, err := os.ReadDir(filepath.Join(dir, "slaves"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, s := range below {
		n, err := os.ReadFile(filepath.Join(dir, "slaves", s.Name(), "dev")) //nolint:gosec // below /sys
		if err == nil {
			err = d.weigh(strings.TrimSpace(string(n)), depth-1)
		}
		if err != nil {
			return err
		}
	}
	if len(below) > 0 {
		return nil
	}
	scheduler, err := os.ReadFile(filepath.Join(dir, "queue/scheduler")) //nolint:gosec // below /sys
	if err == nil && strings.Contains(string(scheduler), "[bfq]") {
		return nil
	}
	n, err := os.ReadFile(filepath.Join(dir, "dev")) //nolint:gosec // below /sys
	if err == nil && d.costs(strings.TrimSpace(string(n))) {
		return nil
	}
	return fmt.Errorf("disk %s has neither the scheduler bfq nor io.cost.qos", filepath.Base(dir))
}

// costs reports whether a disk's time is divided up by io.weight.
func (d disks) costs(number string) bool {
	if _, err := os.Stat(filepath.Join(d.sys, "module/bfq")); err == nil || d.cost == "" {
		return false
	}
	b, err := os.ReadFile(d.cost)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == number && f[1] == "enable=1" {
			return true
		}
	}
	return false
}
