package rewrite

import (
	"encoding/json"
	"math"

	"github.com/opencontainers/runtime-spec/specs-go"

	"plimsoll/internal/fault"
	"plimsoll/internal/seal/protocol"
)

var (
	resourceMembers = []string{"devices", "memory", "cpu", "pids", "blockIO", "hugepageLimits", "network", "rdma", "unified"}
	memoryMembers   = []string{
		"limit", "reservation", "swap", "kernel", "kernelTCP", "swappiness", "disableOOMKiller", "useHierarchy", "checkBeforeUpdate",
	}
	cpuMembers   = []string{"shares", "quota", "burst", "period", "realtimeRuntime", "realtimePeriod", "cpus", "mems", "idle"}
	blockMembers = []string{
		"weight", "leafWeight", "weightDevice",
		"throttleReadBpsDevice", "throttleWriteBpsDevice", "throttleReadIOPSDevice", "throttleWriteIOPSDevice",
	}
)

// Update returns what becomes of new limits for a running container (the file
// of runc update --resources). A limit that is not mentioned stays as it is; one
// that is lifted becomes the profile's.
func Update(resources []byte, g *protocol.Grant, s Situation) ([]byte, error) {
	if err := usable(g, s); err != nil {
		return nil, err
	}
	if err := check(resources); err != nil {
		return nil, fault.Errorf(fault.Invalid, "resources: %w", err)
	}
	asked, err := parse(resources, "resources", resourceMembers)
	if err != nil {
		return nil, err
	}
	w := &work{grant: g, host: s, update: true}
	granted, err := w.limits(asked)
	if err != nil {
		return nil, err
	}
	return granted.encode(), nil
}

func (w *work) resources(linux *object) error {
	asked, err := linux.child("resources", resourceMembers)
	if err != nil {
		return err
	}
	if asked == nil {
		asked = &object{where: "linux.resources"}
	}
	granted, err := w.limits(asked)
	if err != nil {
		return err
	}
	granted.set("devices", w.reach())
	linux.put("resources", granted.encode())
	return nil
}

// limits returns the lower of what is asked and what the profile has. Controllers
// that the profile says nothing about are left out: a file of the control group
// that is written by its name (unified) can undo any of the limits, and a class
// of network packets can be another's.
func (w *work) limits(asked *object) (*object, error) {
	granted := &object{where: asked.where}
	for _, part := range []struct {
		key   string
		known []string
		limit func(asked, granted *object) error
	}{
		{"memory", memoryMembers, w.memory}, {"cpu", cpuMembers, w.cpu},
		{"pids", []string{"limit"}, w.pids}, {"blockIO", blockMembers, w.blockIO},
	} {
		a, err := asked.child(part.key, part.known)
		if err != nil {
			return nil, err
		}
		if a == nil {
			if w.update {
				continue
			}
			a = &object{where: asked.path(part.key)}
		}
		g := &object{where: a.where}
		if err := part.limit(a, g); err != nil {
			return nil, err
		}
		if len(g.members) > 0 {
			granted.put(part.key, g.encode())
		}
	}
	return granted, nil
}

// lower returns the lower of what is asked under key and most; zero and less ask
// for no limit. For an update, ok is whether anything was asked.
func (w *work) lower(asked *object, key string, most int64) (n int64, ok bool, err error) {
	n, ok, err = asked.number(key)
	if err != nil {
		return 0, false, err
	}
	if n <= 0 {
		n = most
	}
	return min(n, most), ok || !w.update, nil
}

func (w *work) memory(asked, granted *object) error {
	limit, limited, err := w.lower(asked, "limit", w.grant.Profile.Memory)
	if err != nil {
		return err
	}
	swap, swaps, err := w.lower(asked, "swap", w.grant.Profile.Memory) // memory and swap together
	if err != nil {
		return err
	}
	if limited {
		granted.set("limit", limit)
		swap = max(swap, limit)
	}
	if swaps && w.host.Swap {
		granted.set("swap", swap)
	}
	if n, ok, err := asked.number("reservation"); err != nil {
		return err
	} else if ok && n > 0 {
		granted.set("reservation", min(n, limit))
	}
	if n, ok, err := asked.number("swappiness"); err != nil {
		return err
	} else if ok && n >= 0 && n <= 100 && !w.host.Unified {
		granted.set("swappiness", n)
	}
	careful, err := asked.flag("checkBeforeUpdate")
	if err == nil && careful {
		granted.set("checkBeforeUpdate", true)
	}
	return err
}

// Processor time is given in µs for each period (cpu.max of cgroup v2).
const (
	period    = 100_000
	minPeriod = 1_000 // the kernel takes nothing shorter, of either
	maxPeriod = 1_000_000
	shares    = 1024 // of a group that nobody gave any
)

// cpu writes quota and period together: either alone, beside what the group has
// already, would be another limit.
func (w *work) cpu(asked, granted *object) error {
	quota, hasQuota, err := asked.number("quota")
	if err != nil {
		return err
	}
	per, hasPeriod, err := asked.number("period")
	if err != nil {
		return err
	}
	if per == 0 {
		per = period
	}
	most := w.grant.Profile.CPUs
	if quota < minPeriod || per < minPeriod || per > maxPeriod || float64(quota) > most*float64(per) {
		quota, per = int64(math.Round(most*period)), period
	}
	if hasQuota || hasPeriod || !w.update {
		granted.set("quota", quota)
		granted.set("period", per)
	}
	if n, ok, err := asked.number("shares"); err != nil {
		return err
	} else if ok && n > 0 {
		granted.set("shares", min(n, shares))
	}
	for _, key := range []string{"cpus", "mems"} {
		if set, err := asked.text(key); err != nil {
			return err
		} else if set != "" {
			if !consists(set, digits+",-") {
				return fault.Errorf(fault.Invalid, "%s: %.80q is no list of numbers", asked.path(key), set)
			}
			granted.set(key, set)
		}
	}
	if n, ok, err := asked.number("idle"); err != nil {
		return err
	} else if ok && n == 1 { // to go after everybody else
		granted.set("idle", n)
	}
	return nil
}

func (w *work) pids(asked, granted *object) error {
	n, ok, err := w.lower(asked, "limit", w.grant.Profile.PIDs)
	if ok {
		granted.set("limit", n)
	}
	return err
}

const (
	minWeight     = 10
	defaultWeight = 100 // of a group that nobody gave one (io.weight of cgroup v2)
)

// blockIO keeps a weight that is no more than the profile's, or than everybody's,
// and limits on devices, which can only slow a container down.
func (w *work) blockIO(asked, granted *object) error {
	most := int64(w.grant.Profile.IOWeight)
	n, ok, err := asked.number("weight")
	switch {
	case err != nil:
		return err
	case ok && n >= minWeight:
		if most == 0 {
			most = defaultWeight
		}
		granted.set("weight", min(n, most))
	case most != 0 && (ok || !w.update):
		granted.set("weight", most)
	}
	for _, key := range blockMembers[3:] {
		all, err := throttles(asked, key)
		if err != nil {
			return err
		}
		if len(all) > 0 {
			granted.set(key, all)
		}
	}
	return nil
}

type throttle struct {
	Major int64 `json:"major"`
	Minor int64 `json:"minor"`
	Rate  int64 `json:"rate"`
}

// throttles returns the limits on devices, without those that lift one.
func throttles(asked *object, key string) ([]throttle, error) {
	list, err := asked.elements(key)
	if err != nil {
		return nil, err
	}
	var all []throttle
	for _, raw := range list {
		t, err := readThrottle(raw, asked.path(key))
		if err != nil {
			return nil, err
		}
		if t.Rate > 0 && t.Major >= 0 && t.Minor >= 0 {
			all = append(all, t)
		}
	}
	return all, nil
}

func readThrottle(raw json.RawMessage, where string) (t throttle, err error) {
	o, err := parse(raw, where, []string{"major", "minor", "rate"})
	if err != nil {
		return t, err
	}
	for key, to := range map[string]*int64{"major": &t.Major, "minor": &t.Minor, "rate": &t.Rate} {
		if *to, _, err = o.number(key); err != nil {
			return t, err
		}
	}
	return t, nil
}

// reach is which devices the container may use. Runtimes add those that every
// container has.
func (w *work) reach() []specs.LinuxDeviceCgroup {
	rules := []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}
	for _, d := range w.nodes {
		rules = append(rules, specs.LinuxDeviceCgroup{Allow: true, Type: d.Type, Major: &d.Major, Minor: &d.Minor, Access: "rw"})
	}
	return rules
}
