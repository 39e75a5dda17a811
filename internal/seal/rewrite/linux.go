package rewrite

import (
	"slices"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"

	"plimsoll/internal/fault"
	"plimsoll/internal/idmap"
	"plimsoll/internal/seal/seccomp"
)

var linuxMembers = []string{
	"uidMappings", "gidMappings", "sysctl", "resources", "cgroupsPath", "namespaces", "devices", "netDevices", "seccomp",
	"rootfsPropagation", "maskedPaths", "readonlyPaths", "mountLabel", "intelRdt", "memoryPolicy", "personality", "timeOffsets",
}

// Masked are parts of /proc and /sys that tell of the host and its hardware; no
// container sees them.
func Masked() []string {
	return []string{
		"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kallsyms", "/proc/kcore", "/proc/key-users", "/proc/keys",
		"/proc/kmsg", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
		"/proc/vmallocinfo", "/sys/devices/virtual/powercap", "/sys/firmware", "/sys/kernel/debug", "/sys/kernel/tracing",
	}
}

// Readonly are switches of the kernel that no container may turn.
func Readonly() []string {
	return []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
}

func (w *work) linux(spec *object) error {
	linux, err := spec.child("linux", linuxMembers)
	if err != nil {
		return err
	}
	asked, err := linux.text("cgroupsPath")
	if err != nil {
		return err
	}
	linux.set("cgroupsPath", cgroup(asked, w.grant.Team, w.host.ID))
	for _, step := range []func(*object) error{w.spaces, w.filter, w.resources, w.sysctl, hiddenPaths, propagation, personality, mountLabel, noNetDevices} {
		if err := step(linux); err != nil {
			return err
		}
	}
	w.mappings(linux)
	// Nodes are mounts by now. Groups of the processor's cache and policies for
	// memory are shared with the host.
	linux.drop("devices", "intelRdt", "memoryPolicy")
	spec.put("linux", linux.encode())
	return nil
}

// mappings stand in the user namespace already; some runtimes want to know them.
func (w *work) mappings(linux *object) {
	linux.drop("uidMappings", "gidMappings")
	if w.host.Mappings {
		m := []specs.LinuxIDMapping{{ContainerID: 0, HostID: w.grant.IDs.Base, Size: w.grant.IDs.Size}}
		linux.set("uidMappings", m)
		linux.set("gidMappings", m)
	}
}

// filter puts our own filter of system calls in the place of whatever was asked:
// "unconfined", or one that is wider than the profile.
func (w *work) filter(linux *object) error {
	p := &w.grant.Profile
	filter, err := seccomp.Profile(seccomp.Options{SetuidFiles: p.SetuidFiles, Capabilities: p.Capabilities, Arch: w.host.Arch})
	if err != nil {
		return err
	}
	linux.set("seccomp", filter)
	return nil
}

// hiddenPaths adds what is asked for to what is hidden, or cannot be written,
// anyway.
func hiddenPaths(linux *object) error {
	if err := addPaths(linux, "maskedPaths", Masked()); err != nil {
		return err
	}
	return addPaths(linux, "readonlyPaths", Readonly())
}

func addPaths(linux *object, key string, ours []string) error {
	asked, err := linux.texts(key)
	if err != nil {
		return err
	}
	for _, p := range asked {
		if p == "" || p[0] != '/' || climbs(p) {
			return fault.Errorf(fault.Invalid, "linux.%s: %.80q is not a plain absolute path", key, p)
		}
		if !slices.Contains(ours, p) {
			ours = append(ours, p)
		}
	}
	linux.set(key, ours)
	return nil
}

// propagation lets mounts of the host reach the container, but never the other
// way.
func propagation(linux *object) error {
	asked, err := linux.text("rootfsPropagation")
	if err != nil {
		return err
	}
	switch asked {
	case "private", "rprivate", "slave", "rslave":
	case "":
		linux.drop("rootfsPropagation")
	default:
		linux.set("rootfsPropagation", "rslave")
	}
	return nil
}

// personality allows another machine's name (uname of 32 bits), and none of the
// flags that weaken a program's memory.
func personality(linux *object) error {
	p, err := linux.child("personality", []string{"domain", "flags"})
	if err != nil || p == nil {
		return err
	}
	domain, err := p.text("domain")
	if err != nil {
		return err
	}
	flags, err := p.elements("flags")
	if err != nil {
		return err
	}
	if domain != string(specs.PerLinux) && domain != string(specs.PerLinux32) || len(flags) > 0 {
		return fault.Errorf(fault.Denied, "linux.personality: only LINUX and LINUX32, without flags")
	}
	return nil
}

func mountLabel(linux *object) error { return label(linux, "mountLabel", fileTypes) }

// noNetDevices refuses to take network devices away from the host.
func noNetDevices(linux *object) error {
	devices, err := linux.child("netDevices", nil)
	if err != nil {
		return err
	}
	if devices != nil && len(devices.members) > 0 {
		return fault.Errorf(fault.Denied, "linux.netDevices: %.40q is the host's", devices.members[0].name)
	}
	return nil
}

// pingGroups is the switch that lets groups send pings without a capability. The
// kernel takes no group that the user namespace does not have.
const pingGroups = "net.ipv4.ping_group_range"

// switches are those of namespaces that a container has for itself, and that
// cannot be used against a host or a neighbour: what Kubernetes calls safe, the
// limits of System V and POSIX IPC, and turning IPv6 off.
var switches = []string{
	"fs.mqueue.msg_default", "fs.mqueue.msg_max", "fs.mqueue.msgsize_default", "fs.mqueue.msgsize_max", "fs.mqueue.queues_max",
	"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
	"kernel.shm_rmid_forced", "kernel.shmall", "kernel.shmmax", "kernel.shmmni",
	"net.core.somaxconn",
	"net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports", "net.ipv4.ip_unprivileged_port_start",
	"net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_keepalive_time",
	"net.ipv4.tcp_max_syn_backlog", "net.ipv4.tcp_rmem", "net.ipv4.tcp_syncookies", "net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_wmem",
	"net.ipv6.conf.all.disable_ipv6", "net.ipv6.conf.default.disable_ipv6", "net.ipv6.conf.eth0.disable_ipv6", "net.ipv6.conf.lo.disable_ipv6",
}

const maxSwitch = 256 // bytes of a value

// sysctl keeps switches that are known to be the container's own, and refuses
// others: a program that needs one would not work without it.
func (w *work) sysctl(linux *object) error {
	asked, err := linux.table("sysctl")
	if err != nil {
		return err
	}
	granted := &object{where: "linux.sysctl"}
	ping, err := w.ownNetwork(linux)
	if err != nil {
		return err
	}
	if asked != nil {
		for _, m := range asked.members {
			if m.name == pingGroups {
				ping = true
				continue
			}
			v := unquote(m.value)
			if !slices.Contains(switches, m.name) {
				return fault.Errorf(fault.Denied, "sysctl %.80q: not one that a container may set", m.name)
			}
			if len(v) > maxSwitch || !consists(v, digits+" \t,-") {
				return fault.Errorf(fault.Denied, "sysctl %s: %.80q is not numbers", m.name, v)
			}
			granted.put(m.name, m.value)
		}
	}
	if ping {
		granted.set(pingGroups, "0 "+strconv.Itoa(idmap.SlotSize-1))
	}
	linux.put("sysctl", granted.encode())
	return nil
}

// ownNetwork reports whether the runtime will make the network namespace.
func (w *work) ownNetwork(linux *object) (bool, error) {
	all, err := readSpaces(linux)
	return slices.Contains(all, specs.LinuxNamespace{Type: specs.NetworkNamespace}), err
}
