package agent

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
	"sync"

	"plimsoll/internal/fault"
)

// Build is a build that runs.
type Build struct {
	Team   string
	Caller string
}

// builds are those that run, by the cgroup that their steps are put below. They
// are not written down: a build ends with the guard through which it was asked
// for.
type builds struct {
	mu  sync.Mutex
	all map[string]Build
}

// maxBuilds bounds how many builds run at once.
const maxBuilds = 1000

// add remembers a build and returns its cgroup, a name that was never used and
// that nobody can guess. systemd says how the engine spells cgroups.
func (b *builds) add(v Build, systemd bool) (parent string, done func(), err error) {
	var number [12]byte
	if _, err := rand.Read(number[:]); err != nil {
		return "", nil, fmt.Errorf("number a build: %w", err)
	}
	name := "build-" + hex.EncodeToString(number[:])
	parent = path.Join("/plimsoll", v.Team, name)
	if systemd {
		parent = "plimsoll-" + v.Team + "-" + strings.ReplaceAll(name, "-", "") + ".slice"
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.all) >= maxBuilds {
		return "", nil, fault.Errorf(fault.Unavailable, "%d builds run at once: no more", maxBuilds)
	}
	if b.all == nil {
		b.all = map[string]Build{}
	}
	b.all[parent] = v
	return parent, sync.OnceFunc(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.all, parent)
	}), nil
}

// of returns the build that a container with this cgroupsPath is a step of: a
// path, or "SLICE:PREFIX:NAME" where systemd makes cgroups.
func (b *builds) of(cgroup string) (Build, bool) {
	parent, _, systemd := strings.Cut(cgroup, ":")
	if !systemd {
		if cgroup == "" || path.Clean(cgroup) != cgroup {
			return Build{}, false
		}
		parent = path.Dir(cgroup)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	v, ok := b.all[parent]
	return v, ok
}
