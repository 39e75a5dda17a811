package seal

import (
	"math"
	"slices"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"

	"plimsoll/internal/idmap"
	"plimsoll/internal/profile"
	"plimsoll/internal/seal/rewrite"
	"plimsoll/internal/seal/seccomp"
)

// Paths of the private file system that the stage builds a container in. It is
// mounted in the stage's own mount namespace only; on the host the folder stays
// empty. Every part of the path must be open to all: the container's first
// process reaches its root through it under its own ID.
const (
	buildDir  = "/run/plimsoll/seal"
	rootDir   = buildDir + "/rootfs"
	userFile  = buildDir + "/userns"
	hostsFile = buildDir + "/hosts"
	nameFile  = buildDir + "/hostname"
)

// Situation is what a spec depends on besides the request.
type Situation struct {
	ID       string      // of the container
	IDs      idmap.Range // on the host, that the container's IDs stand for
	Identity Identity    // of the process, looked up in the image
	Mappings bool        // the runtime wants mappings beside the namespace's path
	Swap     bool        // the kernel accounts for swap
	Arch     string      // as GOARCH, "" for this program's
}

// Spec returns the OCI runtime spec of a container: the whole of what it gets.
// The request must be valid.
func Spec(r *Request, s Situation) (*specs.Spec, error) {
	process, err := newProcess(r, s)
	if err != nil {
		return nil, err
	}
	filter, err := seccomp.Profile(seccomp.Options{SetuidFiles: r.Profile.SetuidFiles, Capabilities: r.Profile.Capabilities, Arch: s.Arch})
	if err != nil {
		return nil, err
	}
	spec := &specs.Spec{
		Version:  "1.0.2", // which old runtimes know as well
		Process:  process,
		Root:     &specs.Root{Path: rootDir, Readonly: r.Profile.ReadOnly},
		Hostname: hostname(s.ID),
		Mounts:   slices.Concat(kernelMounts(), nameMounts(), requested(r.Mounts)),
		Linux: &specs.Linux{
			Namespaces:    namespaces(),
			CgroupsPath:   cgroupPath(r.Team, s.ID),
			Resources:     resources(&r.Profile, s.Swap),
			Seccomp:       filter,
			MaskedPaths:   rewrite.Masked(),
			ReadonlyPaths: rewrite.Readonly(),
			Sysctl:        map[string]string{"net.ipv4.ping_group_range": "0 " + strconv.Itoa(idmap.SlotSize-1)},
		},
		Annotations: map[string]string{"dev.plimsoll.team": r.Team, "dev.plimsoll.base": strconv.FormatUint(uint64(s.IDs.Base), 10)},
	}
	if s.Mappings {
		m := []specs.LinuxIDMapping{{ContainerID: 0, HostID: s.IDs.Base, Size: s.IDs.Size}}
		spec.Linux.UIDMappings, spec.Linux.GIDMappings = m, m
	}
	return spec, nil
}

func hostname(id string) string { return id[:min(len(id), 12)] }

func cgroupPath(team, id string) string { return "/plimsoll/" + team + "/" + id }

// newProcess has no rlimits: in a namespace that its base owns only a host with
// CAP_SYS_RESOURCE could set them, so the stage sets them on itself before it
// becomes the runtime.
func newProcess(r *Request, s Situation) (*specs.Process, error) {
	args, err := r.command()
	if err != nil {
		return nil, err
	}
	env, err := r.environment(s.Identity.Home, hostname(s.ID))
	if err != nil {
		return nil, err
	}
	dir, err := r.workdir()
	if err != nil {
		return nil, err
	}
	caps := make([]string, len(r.Profile.Capabilities))
	for i, c := range r.Profile.Capabilities {
		caps[i] = "CAP_" + c
	}
	return &specs.Process{
		Args: args, Env: env, Cwd: dir,
		User:            specs.User{UID: s.Identity.UID, GID: s.Identity.GID, AdditionalGids: s.Identity.Groups},
		Capabilities:    &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps, Inheritable: []string{}, Ambient: []string{}},
		NoNewPrivileges: !r.Profile.SetuidFiles,
	}, nil
}

// namespaces are all that Linux has, none shared with the host; the user
// namespace was made by the stage.
func namespaces() []specs.LinuxNamespace {
	return []specs.LinuxNamespace{
		{Type: specs.UserNamespace, Path: userFile},
		{Type: specs.PIDNamespace},
		{Type: specs.NetworkNamespace},
		{Type: specs.IPCNamespace},
		{Type: specs.UTSNamespace},
		{Type: specs.MountNamespace},
		{Type: specs.CgroupNamespace},
	}
}

const cpuPeriod = 100_000 // µs

func resources(p *profile.Profile, swap bool) *specs.LinuxResources {
	quota, period := int64(math.Round(p.CPUs*cpuPeriod)), uint64(cpuPeriod)
	memory, pids := p.Memory, p.PIDs
	res := &specs.LinuxResources{
		Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}, // runtimes add null, zero, random, tty and their like
		Memory:  &specs.LinuxMemory{Limit: &memory},
		CPU:     &specs.LinuxCPU{Quota: &quota, Period: &period},
		Pids:    &specs.LinuxPids{Limit: &pids},
	}
	if swap {
		res.Memory.Swap = &memory // memory and swap together
	}
	if p.IOWeight != 0 {
		weight := uint16(p.IOWeight) //nolint:gosec // Enforceable keeps it at 1000 or less
		res.BlockIO = &specs.LinuxBlockIO{Weight: &weight}
	}
	return res
}
