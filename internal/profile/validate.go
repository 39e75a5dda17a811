package profile

import (
	"math"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"plimsoll/internal/fault"
)

// capabilities are those of Linux 6.x (capabilities(7)), without CAP_.
var capabilities = strings.Fields(`AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN
	DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE
	MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYS_ADMIN SYS_BOOT
	SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG SYSLOG WAKE_ALARM`)

// maxCPUs and maxPIDs are what no machine exceeds (PID_MAX_LIMIT of 64-bit
// Linux); a larger number is a slip of the pen.
const (
	maxCPUs = 65536
	maxPIDs = 1 << 22
)

// Validate reports the first field that cannot be what it says, Invalid. What a
// container must not go without (processors, memory, processes) must be granted.
func (p *Profile) Validate() error {
	for _, check := range []func() error{p.checkShare, p.Network.validate, p.checkPrivileges} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (p *Profile) checkShare() error {
	switch {
	case math.IsNaN(p.CPUs) || p.CPUs < 0.01 || p.CPUs > maxCPUs:
		return invalid("cpus", "must be between 0.01 and %d", maxCPUs)
	case p.Memory < 6<<20:
		return invalid("memory", "must be 6MiB or more: no engine starts a container with less")
	case p.PIDs < 1 || p.PIDs > maxPIDs:
		return invalid("pids", "must be between 1 and %d", maxPIDs)
	case p.IOWeight != 0 && (p.IOWeight < 10 || p.IOWeight > 1000):
		return invalid("io.weight", "must be between 10 and 1000, which is what runtimes take")
	case p.Storage < 0:
		return invalid("storage", "must not be negative")
	}
	return nil
}

func (p *Profile) checkPrivileges() error {
	for _, c := range p.Capabilities {
		if !slices.Contains(capabilities, c) {
			return invalid("capabilities.add", "%q is no capability (write it in capitals, without CAP_)", c)
		}
	}
	for _, m := range p.Mounts {
		if err := m.validate(); err != nil {
			return err
		}
	}
	for _, d := range p.Devices {
		if !strings.HasPrefix(d, "/dev/") || path.Clean(d) != d || strings.ContainsAny(d, "*:\x00") {
			return invalid("devices", "%q is not the plain path of a device below /dev", d)
		}
	}
	if !runtimeName(p.Runtime) {
		return invalid("runtime", "%q is not a runtime's name", p.Runtime)
	}
	return nil
}

func (n Network) validate() error {
	if n.Mode != "none" && n.Mode != "bridge" {
		return invalid("network.mode", "%q is neither none nor bridge", n.Mode)
	}
	if n.Mode == "none" && len(n.Publish)+len(n.Egress) > 0 {
		return invalid("network", "mode none has no ports to publish and nowhere to go")
	}
	for _, p := range n.Publish {
		if !portRange(p) {
			return invalid("network.publish", "%q is neither a port nor a range of ports such as 8080-8090", p)
		}
	}
	for _, e := range n.Egress {
		if !destination(e) {
			return invalid("network.egress", "%q is not HOST:PORT or ADDRESS/BITS:PORT", e)
		}
	}
	return nil
}

func (m Mount) validate() error {
	dir := strings.TrimSuffix(m.Path, "/**")
	if !path.IsAbs(dir) || path.Clean(dir) != dir || dir == "/" || strings.ContainsAny(dir, "*:\x00") {
		return invalid("mounts", "%q is not a clean absolute path below /, with or without /** at its end", m.Path)
	}
	return nil
}

func portRange(s string) bool {
	low, high, ok := strings.Cut(s, "-")
	if !ok {
		high = low
	}
	a, b := port(low), port(high)
	return a > 0 && b >= a
}

// port returns the number that s says, or 0.
func port(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0
	}
	return n
}

func destination(s string) bool {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || port(s[i+1:]) == 0 {
		return false
	}
	host := strings.TrimSuffix(strings.TrimPrefix(s[:i], "["), "]")
	if _, err := netip.ParsePrefix(host); err == nil {
		return true
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return len(host) <= 253 && hostName(host)
}

// Regular expressions would be compiled at every start of the runtime, of which a
// container has several.
const lowerDigits = "abcdefghijklmnopqrstuvwxyz0123456789"

func runtimeName(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s[:1], lowerDigits) == "" && strings.Trim(s, lowerDigits+"._-") == ""
}

// hostName reports whether s is labels of lower-case letters, digits, and dashes
// that are neither first nor last (RFC 1123, section 2.1).
func hostName(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' || strings.Trim(label, lowerDigits+"-") != "" {
			return false
		}
	}
	return true
}

func invalid(field, format string, args ...any) error {
	return fault.As(fault.Invalid, &FieldError{Field: field, Err: fault.Errorf(fault.Invalid, format, args...)})
}

// FieldError says which field of a profile is wrong. Whoever read the profile
// from a document can point at the line.
type FieldError struct {
	Field string // as the policy document names it: "network.mode"
	Err   error
}

// Error returns the field's name and what is wrong with it.
func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns what is wrong.
func (e *FieldError) Unwrap() error { return e.Err }
