//go:build linux

package host

import (
	"slices"

	"plimsoll/internal/fault"
)

// Containerd is where containerd keeps its state unless told otherwise.
const Containerd = "/var/lib/containerd"

// Engine returns where the engine keeps its state, and whether it lets systemd make
// its cgroups, from its configuration: the engine itself starts after the guard.
func (h Host) Engine() (folder string, systemd bool, err error) {
	b, err := h.read(DaemonJSON)
	if err != nil && !absent(err) {
		return "", false, fault.As(fault.Unavailable, err)
	}
	d, err := parseDaemon(b)
	if err != nil {
		return "", false, err
	}
	switch {
	case slices.Contains(d.ExecOpts, "native.cgroupdriver=systemd"):
		systemd = true
	case slices.Contains(d.ExecOpts, "native.cgroupdriver=cgroupfs"):
	default: // the engine's own choice
		systemd = h.exists("/sys/fs/cgroup/cgroup.controllers") && h.exists("/run/systemd/system")
	}
	return d.dataRoot(), systemd, nil
}
