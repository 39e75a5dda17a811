package seccomp_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/runtime-spec/specs-go"

	"plimsoll/internal/fault"
	"plimsoll/internal/seal/seccomp"
)

func profile(t *testing.T, o seccomp.Options) *specs.LinuxSeccomp {
	t.Helper()
	p, err := seccomp.Profile(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// allows reports whether some rule lets the call pass with the arguments, as
// libseccomp reads OCI rules: any one that matches.
func allows(p *specs.LinuxSeccomp, name string, args ...uint64) bool {
	for _, r := range p.Syscalls {
		if r.Action == specs.ActAllow && slices.Contains(r.Names, name) && matches(r.Args, args) {
			return true
		}
	}
	return p.DefaultAction == specs.ActAllow
}

func matches(rules []specs.LinuxSeccompArg, args []uint64) bool {
	for _, r := range rules {
		var v uint64
		if int(r.Index) < len(args) {
			v = args[r.Index]
		}
		switch r.Op {
		case specs.OpEqualTo:
			if v != r.Value {
				return false
			}
		case specs.OpMaskedEqual:
			if v&r.Value != r.ValueTwo {
				return false
			}
		default:
			return false
		}
	}
	return true
}

func TestWhatNoContainerMayCall(t *testing.T) {
	everything := seccomp.Options{SetuidFiles: true, Capabilities: []string{"SYS_ADMIN", "SYS_CHROOT", "SYS_PTRACE", "SYS_MODULE", "NET_RAW", "IPC_LOCK"}}
	for _, arch := range []string{"amd64", "arm64"} {
		everything.Arch = arch
		p := profile(t, everything)
		if p.DefaultAction != specs.ActErrno || slices.Contains(p.Architectures, specs.ArchX32) {
			t.Errorf("%s: default %s, architectures %v", arch, p.DefaultAction, p.Architectures)
		}
		for _, name := range []string{
			"io_uring_setup", "io_uring_enter", "io_uring_register", "bpf", "keyctl", "add_key", "request_key",
			"userfaultfd", "perf_event_open", "unshare", "setns", "syslog", "kexec_load", "kexec_file_load",
			"open_by_handle_at", "name_to_handle_at", "clone3", "mount", "umount2", "pivot_root", "move_mount",
			"open_tree", "fsopen", "fsmount", "fsconfig", "fspick", "mount_setattr", "init_module", "finit_module",
			"delete_module", "swapon", "reboot", "settimeofday", "clock_settime", "iopl", "ioperm", "quotactl",
			"fanotify_init", "vhangup", "acct", "socketcall", "ustat", "sysfs", "uselib", "lookup_dcookie",
		} {
			if allows(p, name) {
				t.Errorf("%s: %s is allowed", arch, name)
			}
		}
	}
}

func TestArguments(t *testing.T) {
	strict, loose := profile(t, seccomp.Options{}), profile(t, seccomp.Options{SetuidFiles: true, Capabilities: []string{"NET_RAW"}})
	const creat, tmpfile, junk = 0o100, 0o20200000, 0xdeadbeef06000
	tests := []struct {
		name          string
		args          []uint64
		strict, loose bool
	}{
		{"chmod", []uint64{0, 0o755}, true, true},
		{"chmod", []uint64{0, 0o4755}, false, true},
		{"fchmod", []uint64{0, 0o2755}, false, true},
		{"fchmodat", []uint64{0, 0, 0o6755}, false, true},
		{"fchmodat2", []uint64{0, 0, 0o4000}, false, true},
		{"creat", []uint64{0, 0o4755}, false, true},
		{"mkdir", []uint64{0, 0o1777}, true, true},
		{"mkdirat", []uint64{0, 0, 0o2755}, false, true},
		{"mknod", []uint64{0, 0o104755}, false, true},
		{"mknodat", []uint64{0, 0, 0o104755}, false, true},
		{"open", []uint64{0, 0, junk}, true, true}, // nothing is made: the mode is noise
		{"open", []uint64{0, creat, 0o644}, true, true},
		{"open", []uint64{0, creat, 0o4755}, false, true},
		{"openat", []uint64{0, 0, 0, junk}, true, true},
		{"openat", []uint64{0, 0, creat, 0o4755}, false, true},
		{"openat", []uint64{0, 0, tmpfile | 1, 0o4755}, false, true},
		{"openat", []uint64{0, 0, 0o200000, junk}, true, true}, // O_DIRECTORY alone
		{"openat2", nil, false, true},
		{"clone", []uint64{0x3d0f00}, true, true},     // a thread
		{"clone", []uint64{17}, true, true},           // fork: SIGCHLD
		{"clone", []uint64{0x10000000}, false, false}, // CLONE_NEWUSER
		{"clone", []uint64{0x02000000}, false, false}, // CLONE_NEWCGROUP
		{"socket", []uint64{1}, true, true},
		{"socket", []uint64{10}, true, true},
		{"socket", []uint64{17}, false, true},
		{"socket", []uint64{38}, false, false}, // AF_ALG
		{"socket", []uint64{40}, false, false}, // AF_VSOCK
		{"socketpair", []uint64{2}, false, false},
		{"personality", []uint64{0xffffffff}, true, true},
		{"personality", []uint64{0x0040000}, false, false}, // ADDR_NO_RANDOMIZE
		{"chroot", nil, false, false},
		{"ptrace", nil, false, false},
	}
	for _, tt := range tests {
		if got := [2]bool{allows(strict, tt.name, tt.args...), allows(loose, tt.name, tt.args...)}; got != [2]bool{tt.strict, tt.loose} {
			t.Errorf("%s(%#x) strict and loose: %v, want %v, %v", tt.name, tt.args, got, tt.strict, tt.loose)
		}
	}
	if !allows(profile(t, seccomp.Options{Capabilities: []string{"SYS_CHROOT"}}), "chroot") {
		t.Error("chroot is refused to who has the capability")
	}
}

func TestMissingCallsSayENOSYS(t *testing.T) {
	var got []string
	for _, r := range profile(t, seccomp.Options{}).Syscalls {
		if r.Action == specs.ActErrno && r.ErrnoRet != nil && *r.ErrnoRet == 38 {
			got = append(got, r.Names...)
		}
	}
	if diff := cmp.Diff([]string{"openat2", "clone3"}, got); diff != "" {
		t.Errorf("calls without a kernel (-want +got):\n%s", diff)
	}
}

func TestEachCallIsJudgedOnce(t *testing.T) {
	for _, o := range []seccomp.Options{{}, {SetuidFiles: true, Capabilities: []string{"IPC_LOCK", "SYS_CHROOT"}}} {
		bare, seen := map[string]bool{}, map[string]int{}
		for _, r := range profile(t, o).Syscalls {
			for _, n := range r.Names {
				seen[n]++
				if len(r.Args) == 0 {
					bare[n] = true
				}
			}
		}
		for n := range bare {
			if seen[n] > 1 {
				t.Errorf("%+v: %s has a rule without arguments that makes its others void", o, n)
			}
		}
	}
}

func TestUnknownArchitecture(t *testing.T) {
	if p, err := seccomp.Profile(seccomp.Options{Arch: "mips"}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v, %v", p, err)
	}
}

func ExampleProfile() {
	p, _ := seccomp.Profile(seccomp.Options{Arch: "amd64"})
	fmt.Println(p.DefaultAction, p.Architectures)
	// Output: SCMP_ACT_ERRNO [SCMP_ARCH_X86_64 SCMP_ARCH_X86]
}
