package engine

import (
	"math"
	"regexp"

	"github.com/moby/moby/api/types/container"

	"plimsoll/internal/fault"
	"plimsoll/internal/profile"
)

// resources are the limits that may be asked for. The rest would lift what the
// team's control group holds, or reach devices.
const resources = "CPUShares Memory NanoCPUs CPUPeriod CPUQuota CpusetCpus CpusetMems MemoryReservation MemorySwap MemorySwappiness PidsLimit BlkioWeight Ulimits"

var updatable = allowed(resources + " RestartPolicy")

const (
	defaultPeriod = 100_000 // µs, of the kernel's CPU bandwidth control
	minPeriod     = 1_000
	maxPeriod     = 1_000_000
	maxShares     = 1024 // what a container has that asks for nothing
	defaultWeight = 500  // of block I/O, likewise
)

var cpuList = regexp.MustCompile(`^[0-9,-]{0,200}$`)

// limit fills in what a container gets: what the profile says where nothing was
// asked for, and no more than that.
func limit(r *container.Resources, p *profile.Profile) error {
	if err := limitMemory(r, p, true); err != nil {
		return err
	}
	if err := limitCPU(r, p, true); err != nil {
		return err
	}
	return limitRest(r, p, true)
}

// limitUpdate checks a change of limits. What is not asked for stays.
func limitUpdate(r *container.Resources, p *profile.Profile) error {
	if len(r.Ulimits) > 0 {
		return denied("Ulimits may not be changed")
	}
	if err := limitMemory(r, p, false); err != nil {
		return err
	}
	if err := limitCPU(r, p, false); err != nil {
		return err
	}
	return limitRest(r, p, false)
}

func limitMemory(r *container.Resources, p *profile.Profile, fill bool) error {
	switch {
	case r.Memory < 0 || r.MemoryReservation < 0:
		return denied("Memory and MemoryReservation must not be negative")
	case r.Memory > p.Memory || r.MemoryReservation > p.Memory:
		return above("memory", "%d bytes", p.Memory)
	case r.MemorySwap < 0:
		return fault.Hint(denied("MemorySwap: the profile does not let a container swap without limit"), "leave out --memory-swap")
	case r.MemorySwap > p.Memory:
		return above("memory with swap", "%d bytes", p.Memory)
	}
	if r.MemorySwappiness != nil {
		if *r.MemorySwappiness == -1 { // what clients send for "as it is"
			r.MemorySwappiness = nil
		} else if *r.MemorySwappiness < 0 || *r.MemorySwappiness > 100 {
			return denied("MemorySwappiness must be between 0 and 100")
		}
	}
	if fill && r.Memory == 0 {
		r.Memory = p.Memory
	}
	if r.MemorySwap == 0 && r.Memory != 0 {
		r.MemorySwap = r.Memory
	}
	return nil
}

func limitCPU(r *container.Resources, p *profile.Profile, fill bool) error {
	granted := int64(math.Floor(p.CPUs * 1e9))
	switch {
	case r.NanoCPUs < 0 || r.CPUQuota < 0 || r.CPUPeriod < 0 || r.CPUShares < 0:
		return denied("limits of processors must not be negative")
	case r.NanoCPUs > granted:
		return above("cpus", "%g", p.CPUs)
	case r.NanoCPUs > 0 && (r.CPUQuota > 0 || r.CPUPeriod > 0):
		return fault.Errorf(fault.Invalid, "NanoCpus and CpuQuota or CpuPeriod cannot both be set")
	case r.CPUPeriod != 0 && (r.CPUPeriod < minPeriod || r.CPUPeriod > maxPeriod):
		return denied("CpuPeriod must be between %d and %d", minPeriod, maxPeriod)
	case r.CPUShares > maxShares:
		return above("CpuShares", "%d", int64(maxShares))
	case !cpuList.MatchString(r.CpusetCpus) || !cpuList.MatchString(r.CpusetMems):
		return fault.Errorf(fault.Invalid, "CpusetCpus and CpusetMems are lists of numbers")
	}
	period := r.CPUPeriod
	if period == 0 {
		period = defaultPeriod
	}
	if float64(r.CPUQuota) > p.CPUs*float64(period) {
		return above("cpus", "%g", p.CPUs)
	}
	if r.CPUPeriod != 0 && r.CPUQuota == 0 { // a period alone would stretch an older quota
		r.CPUQuota = int64(p.CPUs * float64(period))
	}
	if r.CPUPeriod == 0 && r.CPUQuota != 0 {
		r.CPUPeriod = period
	}
	if fill && r.NanoCPUs == 0 && r.CPUQuota == 0 {
		r.NanoCPUs = granted
	}
	return nil
}

func limitRest(r *container.Resources, p *profile.Profile, fill bool) error {
	weight := uint16(defaultWeight)
	if p.IOWeight != 0 {
		weight = uint16(min(p.IOWeight, 1000)) //nolint:gosec // bounded by Validate
	}
	if r.BlkioWeight > weight {
		return above("BlkioWeight", "%d", int64(weight))
	}
	if r.PidsLimit != nil && *r.PidsLimit < 0 {
		return fault.Hint(denied("PidsLimit: the profile does not let a container have processes without limit"), "--pids-limit %d", p.PIDs)
	}
	if r.PidsLimit != nil && *r.PidsLimit > p.PIDs {
		return above("pids", "%d", p.PIDs)
	}
	if r.PidsLimit != nil && *r.PidsLimit == 0 {
		r.PidsLimit = nil
	}
	if fill && r.PidsLimit == nil {
		r.PidsLimit = &p.PIDs
	}
	return checkUlimits(r.Ulimits)
}

// ulimits are the limits of a process that may be asked for, with the largest
// value; those that would give priority or memory that cannot be swapped are not
// among them.
var ulimits = map[string]int64{
	"core": math.MaxInt64, "cpu": math.MaxInt64, "data": math.MaxInt64, "fsize": math.MaxInt64, "rss": math.MaxInt64, "stack": 1 << 30,
	"nofile": 1 << 20, "nproc": 1 << 22, "memlock": 8 << 20, "locks": 1 << 20, "sigpending": 1 << 16,
}

func checkUlimits(all []*container.Ulimit) error {
	for _, u := range all {
		if u == nil {
			return fault.Errorf(fault.Invalid, "Ulimits: null")
		}
		most, ok := ulimits[u.Name]
		switch {
		case !ok:
			return denied("Ulimits: %q may not be asked for", u.Name)
		case u.Soft < 0 || u.Hard < 0 || u.Soft > u.Hard:
			return denied("Ulimits: %s must have numbers that are not negative, the soft one first", u.Name)
		case u.Hard > most:
			return above("ulimit "+u.Name, "%d", most)
		}
	}
	return nil
}

func above(what, format string, most any) error {
	err := denied("%s: more than the team's profile grants", what)
	return fault.Hint(err, "at most "+format, most)
}
