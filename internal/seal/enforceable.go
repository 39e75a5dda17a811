package seal

import (
	"math"
	"slices"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/profile"
)

// runtimes are the OCI runtimes that are known to work behind the stage.
var runtimes = []string{"runc", "crun"}

const (
	minMemory  = 6 << 20  // bytes; runtimes start nothing with less
	minStorage = 16 << 20 // bytes; a file system with less is all overhead
)

// Enforceable refuses a profile that grants or limits something which this
// package cannot give or hold. The error is Denied and names the field.
func Enforceable(p *profile.Profile) error {
	switch {
	case p.Host:
		return cannot("host: true", "a sealed container never gets the host's namespaces")
	case !slices.Contains(runtimes, p.Runtime):
		return cannot("runtime", "%q is none of the runtimes %v", p.Runtime, runtimes)
	case p.Network.Mode != "none":
		return cannot("network.mode", "%q: run gives a container no network but its own loopback (mode none)", p.Network.Mode)
	case len(p.Network.Publish) > 0 || len(p.Network.Egress) > 0:
		return cannot("network", "ports and destinations need a network")
	case len(p.Devices) > 0:
		return cannot("devices", "run gives a container no devices of the host")
	case p.IOWeight != 0 && (p.IOWeight < 10 || p.IOWeight > 1000):
		return cannot("io.weight", "%d: runtimes take 10 to 1000", p.IOWeight)
	}
	return shares(p)
}

// Sealable refuses a profile that an engine's container cannot be held to on any
// host. The error is Denied and names the field.
func Sealable(p *profile.Profile) error {
	switch {
	case p.Host:
		return cannot("host: true", "a sealed container never gets the host's namespaces")
	case !slices.Contains(runtimes, p.Runtime):
		return cannot("runtime", "%q is none of the runtimes %v", p.Runtime, runtimes)
	case p.IOWeight != 0 && (p.IOWeight < 10 || p.IOWeight > 1000):
		return cannot("io.weight", "%d: runtimes take 10 to 1000", p.IOWeight)
	}
	return shares(p)
}

func shares(p *profile.Profile) error {
	t := p.Total
	switch {
	case math.IsNaN(p.CPUs) || p.CPUs < 0.01 || p.CPUs > 1<<16:
		return cannot("cpus", "%v: a container needs from 0.01 to 65536", p.CPUs)
	case p.Memory < minMemory:
		return cannot("memory", "%d bytes: a container needs %d", p.Memory, minMemory)
	case p.PIDs < 1:
		return cannot("pids", "%d: a container needs one", p.PIDs)
	case p.Storage != 0 && p.Storage < minStorage:
		return cannot("storage", "%d bytes: a container's root needs %d", p.Storage, minStorage)
	case t.CPUs != 0 && !(t.CPUs >= p.CPUs && t.CPUs <= 1<<16):
		return cannot("total.cpus", "%v is less than one container's %v", t.CPUs, p.CPUs)
	case t.Memory != 0 && t.Memory < p.Memory:
		return cannot("total.memory", "%d is less than one container's %d", t.Memory, p.Memory)
	case t.PIDs != 0 && t.PIDs < p.PIDs:
		return cannot("total.pids", "%d is less than one container's %d", t.PIDs, p.PIDs)
	case t.Storage != 0 && p.Storage == 0:
		return cannot("total.storage", "a container without a storage limit of its own cannot be counted")
	case t.Storage != 0 && t.Storage < p.Storage:
		return cannot("total.storage", "%d is less than one container's %d", t.Storage, p.Storage)
	}
	return capabilitiesKnown(p.Capabilities)
}

func capabilitiesKnown(names []string) error {
	for _, c := range names {
		if !capabilityName(c) {
			return cannot("capabilities", "%q is no capability's name", c)
		}
	}
	return nil
}

func capabilityName(s string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return len(s) >= 2 && len(s) <= 31 && s[0] != '_' && strings.Trim(s, letters+"_") == ""
}

func cannot(field, format string, args ...any) error {
	return fault.Errorf(fault.Denied, "the profile's %s cannot be enforced: %w", field, fault.Errorf(fault.Denied, format, args...))
}
