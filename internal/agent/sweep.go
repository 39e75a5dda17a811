package agent

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/idmap"
	"plimsoll/internal/ref"
)

// grace is for how long after it was made nothing is collected: an engine may not
// list it yet, a process may not have begun.
const grace = 5 * time.Minute

// Alive is what an engine has. A nil map says that nobody knows.
type Alive struct {
	Containers map[string]bool     // by ID, those that do not run too
	Images     map[ref.Digest]bool // by ID
	// Things are those of a kind, by name.
	Things map[string]map[string]bool
}

// Sweep forgets what the engine does not have any more, and gives back IDs that no
// process runs with. What was made a moment ago is left alone; one failure does
// not keep it from the rest.
func (a *Agent) Sweep(ctx context.Context, alive Alive) error {
	var all []error
	now := a.config.Now()
	if alive.Containers != nil {
		for _, c := range a.allContainers() {
			if !alive.Containers[c.ID] && now.Sub(c.Made) > grace {
				all = append(all, a.Removed(c.ID))
			}
		}
	}
	if alive.Images != nil {
		for _, config := range a.unusedImages(alive.Images, now) {
			all = append(all, a.forgetImage(config))
		}
	}
	for kind, names := range alive.Things {
		for name, t := range a.claimed(kind) {
			if !names[name] && now.Sub(t.Made) > grace {
				all = append(all, a.Disown(kind, name))
			}
		}
	}
	all = append(all, a.sweepRanges(ctx, now), a.sweepNumbers())
	return errors.Join(all...)
}

func (a *Agent) sweepNumbers() error {
	a.quota.Lock()
	defer a.quota.Unlock()
	return a.clearLeft()
}

func (a *Agent) allContainers() []Container {
	a.Memory.mu.RLock()
	defer a.Memory.mu.RUnlock()
	all := make([]Container, 0, len(a.containers))
	for _, c := range a.containers {
		all = append(all, *c)
	}
	return all
}

// unusedImages returns the images that neither the engine nor a container has.
func (a *Agent) unusedImages(alive map[ref.Digest]bool, now time.Time) []ref.Digest {
	a.Memory.mu.RLock()
	defer a.Memory.mu.RUnlock()
	used := map[ref.Digest]bool{}
	for _, c := range a.containers {
		used[c.Config] = true
	}
	var all []ref.Digest
	for config, i := range a.images {
		if !alive[config] && !used[config] && now.Sub(i.Made) > grace {
			all = append(all, config)
		}
	}
	return all
}

// sweepRanges gives back the IDs of containers whose end nobody told.
func (a *Agent) sweepRanges(ctx context.Context, now time.Time) error {
	held, err := a.config.Ranges.Containers(ctx)
	if err != nil {
		return err
	}
	var all []error
	for holder, r := range held {
		if ours(holder) {
			all = append(all, a.sweepRange(ctx, now, holder, r))
		}
	}
	return errors.Join(all...)
}

func (a *Agent) sweepRange(ctx context.Context, now time.Time, holder string, r idmap.Range) error {
	defer a.turn(holder)()
	a.mu.Lock()
	last := a.granted[holder]
	a.mu.Unlock()
	if now.Sub(a.began) <= grace || now.Sub(last) <= grace {
		return nil
	}
	used, err := a.config.InUse(r)
	if err != nil || used {
		return err
	}
	for joiner := range a.joinersOf(holder) { // nothing runs with these IDs
		if err := a.Disown(kindJoin, holder+" "+joiner); err != nil {
			return err
		}
	}
	if err := a.Disown(kindEnded, holder); err != nil {
		return err
	}
	return a.free(ctx, holder)
}

func (m *Memory) joinersOf(holder string) map[string]bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	all := map[string]bool{}
	for joiner := range m.joins[holder] {
		all[joiner] = true
	}
	return all
}

// inUse looks through /proc for a process that runs as one of the IDs, or in a
// user namespace to which some of them are mapped.
func inUse(r idmap.Range) (bool, error) {
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || len(folders) == 0 {
		return false, fault.Errorf(fault.Unavailable, "which IDs are in use: no processes are seen in /proc")
	}
	for _, folder := range folders {
		used, err := runsWith(folder, r)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it ended
		}
		if err != nil || used {
			return used, err
		}
	}
	return false, nil
}

// runsWith looks at one process.
func runsWith(folder string, r idmap.Range) (bool, error) {
	info, err := os.Stat(folder)
	if err != nil {
		return false, err
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok && r.Contains(s.Uid) {
		return true, nil
	}
	b, err := os.ReadFile(filepath.Join(folder, "uid_map"))
	if err != nil {
		return false, fmt.Errorf("which IDs are in use: %w", err)
	}
	return covers(b, r)
}

// covers reports whether a mapping (user_namespaces(7)) has IDs of r. That of the
// host itself, which has all, does not count.
func covers(uidMap []byte, r idmap.Range) (bool, error) {
	lines := bufio.NewScanner(bytes.NewReader(uidMap))
	for lines.Scan() {
		f := bytes.Fields(lines.Bytes())
		if len(f) != 3 {
			return false, fault.Errorf(fault.Invalid, "mapping %q", lines.Text())
		}
		outside, err := strconv.ParseUint(string(f[1]), 10, 32)
		if err != nil {
			return false, fault.Errorf(fault.Invalid, "mapping %q", lines.Text())
		}
		size, err := strconv.ParseUint(string(f[2]), 10, 32)
		if err != nil {
			return false, fault.Errorf(fault.Invalid, "mapping %q", lines.Text())
		}
		if size == 1<<32-1 {
			continue
		}
		if outside < uint64(r.Base)+uint64(r.Size) && uint64(r.Base) < outside+size {
			return true, nil
		}
	}
	return false, lines.Err()
}
