// Package seccomp makes the filter of system calls that a container runs under
// (seccomp(2); OCI runtime-spec, config-linux.md, "Seccomp").
//
// The filter is a list of what is allowed; everything else fails with EPERM.
// Not on the list, so that no profile can bring it back: io_uring (its
// operations pass no filter), bpf, keyrings (they are not namespaced by
// container), mounts and new namespaces, tracing, kernel modules, clocks, file
// handles, and calls of other architectures' numbering such as x32.
package seccomp

import (
	"runtime"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"plimsoll/internal/fault"
)

// Options are what a container's profile says about system calls.
type Options struct {
	SetuidFiles  bool     // may set setuid and setgid bits on files
	Capabilities []string // names without CAP_; a few calls are useless, so not allowed, without one
	Arch         string   // as GOARCH, "" for this program's
}

// errno values of the filter, which are those of every Linux architecture here.
const (
	eperm  uint = 1
	enosys uint = 38
)

// Profile returns the filter for o. Unavailable if there is none for the
// architecture.
func Profile(o Options) (*specs.LinuxSeccomp, error) {
	if o.Arch == "" {
		o.Arch = runtime.GOARCH
	}
	archs, ok := architectures[o.Arch]
	if !ok {
		return nil, fault.Errorf(fault.Unavailable, "no seccomp filter for the architecture %q", o.Arch)
	}
	refused := eperm
	p := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, DefaultErrnoRet: &refused, Architectures: archs}
	names := slices.Concat(memory, processes, identity, signals, timers, files, polling, sockets, ipc, machine, byArch[o.Arch])
	for _, c := range o.Capabilities {
		names = append(names, byCapability[c]...)
	}
	if o.SetuidFiles {
		for name := range modes {
			names = append(names, name)
		}
		names = append(names, "open", "openat", "openat2")
	} else {
		p.Syscalls = append(p.Syscalls, withoutSetuid()...)
	}
	slices.Sort(names)
	p.Syscalls = append(p.Syscalls, allow(slices.Compact(names)))
	p.Syscalls = append(p.Syscalls, clone()...)
	p.Syscalls = append(p.Syscalls, families(o.Capabilities)...)
	p.Syscalls = append(p.Syscalls, personalities()...)
	return p, nil
}

func allow(names []string, args ...specs.LinuxSeccompArg) specs.LinuxSyscall {
	return specs.LinuxSyscall{Names: names, Action: specs.ActAllow, Args: args}
}

// missing makes calls look as if the kernel did not have them, so that programs
// fall back to what the filter can judge.
func missing(names ...string) specs.LinuxSyscall {
	code := enosys
	return specs.LinuxSyscall{Names: names, Action: specs.ActErrno, ErrnoRet: &code}
}

// clear is true where the argument has none of the bits.
func clear(index uint, bits uint64) specs.LinuxSeccompArg {
	return specs.LinuxSeccompArg{Index: index, Value: bits, ValueTwo: 0, Op: specs.OpMaskedEqual}
}

func equal(index uint, value uint64) specs.LinuxSeccompArg {
	return specs.LinuxSeccompArg{Index: index, Value: value, Op: specs.OpEqualTo}
}

// Bits of mode_t and of open's flags (fcntl.h of x86 and arm).
const (
	setIDs  = 0o6000
	creates = 0o100 | 0o20000000 // O_CREAT, and what O_TMPFILE adds to O_DIRECTORY
)

// modes are the calls that give a file its mode, with the mode's place.
var modes = map[string]uint{
	"chmod": 1, "fchmod": 1, "fchmodat": 2, "fchmodat2": 2, "creat": 1,
	"mkdir": 1, "mkdirat": 2, "mknod": 1, "mknodat": 2,
}

// withoutSetuid allows the calls that could set a setuid or setgid bit only where
// they do not. A mode counts in open only if a file may be made: without O_CREAT
// that argument is whatever was in the register. openat2 keeps its mode behind a
// pointer, where no filter sees it.
func withoutSetuid() []specs.LinuxSyscall {
	names := make([]string, 0, len(modes))
	for name := range modes {
		names = append(names, name)
	}
	slices.Sort(names)
	var rules []specs.LinuxSyscall
	for _, name := range names {
		rules = append(rules, allow([]string{name}, clear(modes[name], setIDs)))
	}
	for _, o := range []struct {
		name  string
		flags uint
	}{{"open", 1}, {"openat", 2}} {
		rules = append(rules,
			allow([]string{o.name}, clear(o.flags, creates)),
			allow([]string{o.name}, clear(o.flags+1, setIDs)))
	}
	return append(rules, missing("openat2"))
}

// newNamespaces are the CLONE_NEW… flags of clone(2).
const newNamespaces = 0x7E020000

// clone allows new processes and threads in the same namespaces; clone3 keeps
// its flags behind a pointer.
func clone() []specs.LinuxSyscall {
	return []specs.LinuxSyscall{allow([]string{"clone"}, clear(0, newNamespaces)), missing("clone3")}
}

// families allows sockets of the local machine, of IP and of netlink, and raw
// packets to who has the capability.
func families(capabilities []string) []specs.LinuxSyscall {
	values := []uint64{1, 2, 10, 16} // AF_UNIX, AF_INET, AF_INET6, AF_NETLINK
	if slices.Contains(capabilities, "NET_RAW") {
		values = append(values, 17) // AF_PACKET
	}
	var rules []specs.LinuxSyscall
	for _, v := range values {
		rules = append(rules, allow([]string{"socket"}, equal(0, v)))
	}
	return append(rules, allow([]string{"socketpair"}, equal(0, 1)))
}

// personalities allows asking, Linux, 32-bit Linux, and both without address
// randomisation of the old uname (personality(2)).
func personalities() []specs.LinuxSyscall {
	var rules []specs.LinuxSyscall
	for _, v := range []uint64{0, 8, 0x20000, 0x20008, 0xffffffff} {
		rules = append(rules, allow([]string{"personality"}, equal(0, v)))
	}
	return rules
}
