//go:build linux

package main

import (
	"context"
	"strconv"
)

// attack is one row of the table.
type attack struct {
	id    string // row of the battery's first recording, where it has one
	title string
	// Where it succeeds. On the sealed engine it must not, ever.
	plain, remap bool
	try          func(ctx context.Context, s *setup) outcome
}

// wants says whether an attack is expected to succeed.
func (a attack) wants(setup string) bool {
	return setup == plain && a.plain || setup == remap && a.remap
}

// A client asks for all that it can: none of it may help.
var (
	unconfined = []string{"--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"}
	admin      = append([]string{"--cap-add", "SYS_ADMIN"}, unconfined...)
	everything = append([]string{"--cap-add", "SYS_RAWIO", "--cap-add", "SYS_PTRACE", "--security-opt", "systempaths=unconfined"}, admin...)
)

// single returns an attack by one container: flags, and the attack program's
// arguments.
func single(flags []string, args ...string) func(context.Context, *setup) outcome {
	return func(ctx context.Context, s *setup) outcome { return s.attack(ctx, flags, args...) }
}

func with(flags []string, more ...string) []string {
	return append(append([]string{}, flags...), more...)
}

// attacks are all of them, in the order of the table.
var attacks = []attack{
	{"1", "write a file of root's (0600) through a bind mount", true, false, func(ctx context.Context, s *setup) outcome {
		return s.attack(ctx, []string{"-v", s.Host.Dir + "/share:/b"}, "openw", "/b/rootfile")
	}},
	{"1b", "the same, the folder being one that the profile allows", true, false, func(ctx context.Context, s *setup) outcome {
		return s.attack(ctx, s.binds("share"), "openw", "/b/rootfile")
	}},
	{"1c", "make a file in a folder of root's, allowed by the profile", true, false, func(ctx context.Context, s *setup) outcome {
		return s.attack(ctx, s.binds("share"), "create", "/b/new")
	}},
	{"2", "leave a setuid program in a shared folder and run it on the host as nobody", true, false, leaveSetuid},
	{"3", "make a node of a block device and read the device", false, false, node(nil)},
	{"3b", "the same, asking for the device", true, false, node(nil, "device")},
	{"3c", "the same, with --device-cgroup-rule", true, false, node([]string{"--device-cgroup-rule", "b *:* rwm"})},
	{"4", "write a release_agent, with SYS_ADMIN and without seccomp", true, false, single(admin, "release")},
	{"5", "open core_pattern for writing", false, false, single(nil, "openw", "/proc/sys/kernel/core_pattern")},
	{"5b", "the same, with SYS_ADMIN and all of /proc", true, false, single(everything, "openw", "/proc/sys/kernel/core_pattern")},
	{"5c", "mask paths with a forged /dev/null that leads to core_pattern (as CVE-2025-31133)", false, false, forgedNull},
	{"5d", "read what is masked in /proc (timer_list), with all of /proc", true, false, single(everything, "read", "/proc/timer_list")},
	{"6", "talk to the engine through its socket, mounted", true, false, func(ctx context.Context, s *setup) outcome {
		return s.attack(ctx, []string{"-v", s.Socket + ":/s"}, "socket", "/s")
	}},
	{"6b", "the same through the folder of the socket", true, false, func(ctx context.Context, s *setup) outcome {
		return s.attack(ctx, []string{"-v", s.Host.Dir + ":/d"}, "socket", "/d/docker.sock")
	}},
	{"7", "overwrite the runtime while it joins a container (CVE-2019-5736)", false, false, foreignExecutable},
	{"8", "reach the host through a leaked folder as working directory (CVE-2024-21626)", false, false, leakedFolder},
	{"9", "have a mount appear on the host (rshared)", true, false, propagation},
	{"10", "find a key of root's on the host, without seccomp", true, false, hostKey},
	{"11", "trace a process of another team's container (--pid=container:)", true, true, victim([]string{"--cap-add", "SYS_PTRACE"}, "trace", "1")},
	{"11b", "signal it", true, true, victim(nil, "signal", "1")},
	{"11c", "read its environment", true, true, victim(nil, "environ", "1")},
	{"11d", "trace a process of the host (--pid=host)", true, false, traceHost},
	{"11e", "join the network of another team's container", true, true, join("--net", "net")},
	{"11f", "join the IPC of another team's container", true, true, join("--ipc", "ipc")},
	{"12", "start 600 processes", true, true, single(nil, "forks", "600")},
	{"12b", "use up the processes of a user for other containers", true, false, starveProcesses},
	{"12c", "use up the inotify instances of a user for other containers", true, true, starveInotify},
	{"13", "use 600 MiB of memory", true, true, single(nil, "memory", "600")},
	{"14", "write 200 MiB to the container's root where the profile limits storage", true, true, func(ctx context.Context, s *setup) outcome {
		return s.attack(ctx, s.label(s.teams[0], "storage"), "fill", "/big", "200")
	}},
	{"15", "raw sockets (ARP spoofing)", true, true, single(nil, "raw")},
	{"17", "io_uring, which no system call filter sees into", true, true, single(nil, "call", "io_uring_setup")},
	{"17b", "bpf, userfaultfd, perf_event_open, unshare, syslog, open_by_handle_at, init_module, swapon, reboot", false, false, calls(nil)},
	{"17c", "the same without seccomp", true, true, calls(unconfined)},
	{"18", "make a user namespace and mount in it, without seccomp", true, true, single(unconfined, "namespace")},
	{"19", "the host's network (--net=host)", true, false, hostSpace("--net", "net")},
	{"19b", "the host's processes (--pid=host)", true, false, hostSpace("--pid", "pid")},
	{"19c", "the host's IPC (--ipc=host)", true, false, hostSpace("--ipc", "ipc")},
	{"19d", "the host's names (--uts=host)", true, true, hostSpace("--uts", "uts")},
	{"20", "root on the host by --userns=host", true, true, single([]string{"--userns=host"}, "identity")},
	{"21", "write a file of root's (0600) through a mount of /", true, false, func(ctx context.Context, s *setup) outcome {
		return s.attack(ctx, []string{"-v", "/:/h"}, "openw", "/h"+s.canary)
	}},
	{"21b", "the same through a symbolic link in a folder that the profile allows", true, false, func(ctx context.Context, s *setup) outcome {
		return s.attack(ctx, s.binds("share/link"), "openw", "/b/canary")
	}},
	{"21c", "the same through a named volume that leads there", true, false, deviousVolume},
	{"21d", "leave a mount by file handle, with DAC_READ_SEARCH", true, false, single([]string{"-v", "/handle", "--cap-add", "DAC_READ_SEARCH", "--security-opt", "seccomp=unconfined"}, "handle", "/handle")},
	{"22", "read a block device of the host (--device)", true, false, readDevice},
	{"23", "root on the host by asking for another runtime (--runtime=io.containerd.runc.v2)", true, false, single([]string{"--runtime=io.containerd.runc.v2"}, "identity")},
	{"23b", "the same with --runtime=runc", true, false, single([]string{"--runtime=runc"}, "identity")},
	{"24", "lift limits by docker update, then start 600 processes", true, true, lift},
	{"25", "root's capabilities by exec --privileged", false, false, execPrivileged},
	{"25b", "root's capabilities by run --privileged", false, false, single([]string{"--privileged"}, "privileged")},
	{"26", "write a release_agent, asked for in more than 1 MiB, which AuthZ plugins do not see", true, false, bigRequest},
	{"27", "have docker cp write to the host through a link that changes (CVE-2018-15664)", false, false, raceIn},
	{"27b", "have docker cp read from the host through a link that changes", false, false, raceOut},
	{"28", "be spared when memory runs out (--oom-score-adj)", false, false, single([]string{"--oom-score-adj", "-500"}, "score")},
}

// binds mounts a folder of the host at /b with a profile that allows some.
func (s *setup) binds(name string) []string {
	return append(s.label(s.teams[0], "binds"), "-v", s.Host.Dir+"/"+name+":/b")
}

func node(flags []string, device ...string) func(context.Context, *setup) outcome {
	return func(ctx context.Context, s *setup) outcome {
		if s.device == "" {
			return absent
		}
		all := flags
		if len(device) > 0 {
			all = with(flags, "--device", s.device)
		}
		return s.attack(ctx, all, "mknod", strconv.Itoa(int(s.major)), strconv.Itoa(int(s.minor)))
	}
}

func readDevice(ctx context.Context, s *setup) outcome {
	if s.device == "" {
		return absent
	}
	return s.attack(ctx, []string{"--device", s.device}, "readdevice", s.device)
}

func calls(flags []string) func(context.Context, *setup) outcome {
	return func(ctx context.Context, s *setup) outcome {
		const each = `for c in bpf userfaultfd perf_event_open unshare syslog open_by_handle_at init_module swapon reboot; do attack call $c; done`
		return judge(s.run(ctx, flags, "sh", "-c", each))
	}
}

// hostSpace asks for a namespace of the host's.
func hostSpace(flag, kind string) func(context.Context, *setup) outcome {
	return func(ctx context.Context, s *setup) outcome {
		return s.attack(ctx, []string{flag + "=host"}, "same", kind, s.space(ctx, kind))
	}
}
