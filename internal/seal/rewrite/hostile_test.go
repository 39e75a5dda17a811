package rewrite_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/runtime-spec/specs-go"

	"plimsoll/internal/fault"
	"plimsoll/internal/seal/rewrite"
)

func mount(destination, kind, source string, options ...string) []any {
	return []any{map[string]any{"destination": destination, "type": kind, "source": source, "options": options}}
}

func TestRefused(t *testing.T) {
	hook := func(path string, args ...string) map[string]any {
		return map[string]any{"path": path, "args": args}
	}
	setKey := []string{"libnetwork-setkey", "-exec-root=/var/run/docker", "b8a5", "e1bb"}
	tests := map[string]struct {
		where string
		v     any
		want  fault.Kind
	}{
		"proc elsewhere":              {"mounts", mount("/x", "proc", "proc"), fault.Denied},
		"sysfs elsewhere":             {"mounts", mount("/x", "sysfs", "sysfs"), fault.Denied},
		"cgroup elsewhere":            {"mounts", mount("/cg", "cgroup2", "cgroup"), fault.Denied},
		"overlay":                     {"mounts", mount("/x", "overlay", "overlay", "lowerdir=/"), fault.Denied},
		"nfs":                         {"mounts", mount("/x", "nfs", "host:/"), fault.Denied},
		"block device":                {"mounts", mount("/x", "ext4", "/dev/sda1"), fault.Denied},
		"no type":                     {"mounts", mount("/x", "", "/etc"), fault.Denied},
		"debugfs":                     {"mounts", mount("/x", "debugfs", "none"), fault.Denied},
		"ramfs":                       {"mounts", mount("/x", "ramfs", "ramfs"), fault.Denied},
		"bind over proc":              {"mounts", mount("/proc", "bind", "/srv", "bind"), fault.Denied},
		"bind over a file of proc":    {"mounts", mount("/proc/sys/kernel/core_pattern", "bind", "/srv/x", "bind"), fault.Denied},
		"proc by an option":           {"mounts", mount("/proc", "proc", "/srv", "rbind"), fault.Denied},
		"unclean":                     {"mounts", mount("/x/../proc/sys", "bind", "/srv", "bind"), fault.Denied},
		"doubled slashes":             {"mounts", mount("//proc//./sys", "bind", "/srv", "bind"), fault.Denied},
		"tmpfs over sys":              {"mounts", mount("/sys/firmware", "tmpfs", "tmpfs"), fault.Denied},
		"tmpfs over /dev/null":        {"mounts", mount("/dev/null", "tmpfs", "tmpfs"), fault.Denied},
		"bind over /dev":              {"mounts", mount("/dev", "bind", "/srv", "bind"), fault.Denied},
		"bind over the console":       {"mounts", mount("/dev/console", "bind", "/srv/x", "bind"), fault.Denied},
		"bind over a terminal":        {"mounts", mount("/dev/pts/0", "bind", "/srv/x", "bind"), fault.Denied},
		"root":                        {"mounts", mount("/", "bind", "/srv", "bind"), fault.Denied},
		"relative destination":        {"mounts", mount("x", "bind", "/srv", "bind"), fault.Denied},
		"relative source":             {"mounts", mount("/x", "bind", "srv", "bind"), fault.Denied},
		"source goes up":              {"mounts", mount("/x", "bind", "/srv/../etc", "bind"), fault.Denied},
		"unknown option":              {"mounts", mount("/x", "bind", "/srv", "bind", "copy-symlink"), fault.Denied},
		"tmpfs of another's ID":       {"mounts", mount("/x", "tmpfs", "tmpfs", "uid=4294967295"), fault.Denied},
		"no list of mounts":           {"mounts", map[string]any{}, fault.Invalid},
		"options are a string":        {"mounts", []any{map[string]any{"destination": "/x", "type": "tmpfs", "options": "ro"}}, fault.Invalid},
		"hook":                        {"hooks.createRuntime", []any{hook("/bin/sh", "sh", "-c", "id")}, fault.Denied},
		"hook of another name":        {"hooks.prestart", []any{hook("/proc/1/exe", "sh", "-c", "x", "y")}, fault.Denied},
		"hook of another file":        {"hooks.prestart", []any{hook("/tmp/x", setKey...)}, fault.Denied},
		"hook by a long way":          {"hooks.prestart", []any{hook("/proc/1/root/exe", setKey...)}, fault.Denied},
		"hook at another moment":      {"hooks.poststop", []any{hook("/proc/1/exe", setKey...)}, fault.Denied},
		"hook with environment":       {"hooks.prestart", []any{map[string]any{"path": "/proc/1/exe", "args": setKey, "env": []string{"LD_PRELOAD=/x"}}}, fault.Denied},
		"hook of an unknown moment":   {"hooks.later", []any{hook("/proc/1/exe", setKey...)}, fault.Denied},
		"hook's folder goes up":       {"hooks.prestart", []any{hook("/proc/1/exe", "libnetwork-setkey", "-exec-root=/run/../etc", "b8", "e1")}, fault.Denied},
		"sysctl of the host":          {"linux.sysctl", map[string]any{"kernel.core_pattern": "|/x"}, fault.Denied},
		"sysctl with slashes":         {"linux.sysctl", map[string]any{"net/ipv4/ping_group_range": "0 2147483647"}, fault.Denied},
		"sysctl of a value":           {"linux.sysctl", map[string]any{"net.core.somaxconn": "1\n2"}, fault.Denied},
		"sysctl that goes up":         {"linux.sysctl", map[string]any{"net.../../kernel/hostname": "1"}, fault.Denied},
		"sysctl is a number":          {"linux.sysctl", map[string]any{"net.core.somaxconn": 1}, fault.Invalid},
		"network device":              {"linux.netDevices", map[string]any{"eth0": map[string]any{}}, fault.Denied},
		"personality":                 {"linux.personality", map[string]any{"domain": "LINUX", "flags": []string{"ADDR_NO_RANDOMIZE"}}, fault.Denied},
		"mount namespace by path":     {"linux.namespaces", append(spaces("mount"), space("mount", "/proc/694/ns/mnt")), fault.Denied},
		"host namespace by path":      {"linux.namespaces", append(spaces("network"), space("network", "/proc/1/ns/net")), fault.Denied},
		"namespace by a link":         {"linux.namespaces", append(spaces("network"), space("network", "../x")), fault.Denied},
		"namespace that is gone":      {"linux.namespaces", append(spaces("network"), space("network", "/proc/7/ns/net")), fault.Denied},
		"namespace missing":           {"linux.namespaces", spaces("uts"), fault.Denied},
		"namespace twice":             {"linux.namespaces", append(spaces(), space("pid", "")), fault.Invalid},
		"unknown namespace":           {"linux.namespaces", append(spaces(), space("new", "")), fault.Denied},
		"no namespaces":               {"linux.namespaces", nil, fault.Denied},
		"buffers that nobody counts":  {"linux.sysctl", map[string]any{"net.ipv4.tcp_rmem": "4096 131072 2147483647"}, fault.Denied},
		"too many masked paths":       {"linux.maskedPaths", slices.Repeat([]string{"/x"}, 513), fault.Denied},
		"too many mounts":             {"mounts", slices.Repeat(mount("/x", "tmpfs", "tmpfs"), 513), fault.Denied},
		"masked path goes up":         {"linux.maskedPaths", []string{"/proc/../etc"}, fault.Invalid},
		"SELinux type of the host":    {"process.selinuxLabel", "system_u:system_r:spc_t:s0", fault.Denied},
		"SELinux user type":           {"process.selinuxLabel", "unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023", fault.Denied},
		"SELinux type of host files":  {"linux.mountLabel", "system_u:object_r:etc_t:s0", fault.Denied},
		"SELinux label with options":  {"linux.mountLabel", "system_u:object_r:container_file_t:s0\",x=\"", fault.Denied},
		"user outside":                {"process.user", map[string]any{"uid": 65536, "gid": 0}, fault.Denied},
		"group outside":               {"process.user", map[string]any{"uid": 0, "gid": 0, "additionalGids": []any{1, 4294967295}}, fault.Denied},
		"negative user":               {"process.user", map[string]any{"uid": -1, "gid": 0}, fault.Denied},
		"folder of descriptors":       {"process.cwd", "/proc/self/fd/8", fault.Denied},
		"folder by a long way":        {"process.cwd", "/x/..//proc/self/fd/8", fault.Denied},
		"relative folder":             {"process.cwd", "x", fault.Invalid},
		"limit twice":                 {"process.rlimits", []any{limit("RLIMIT_CPU", 1, 1), limit("RLIMIT_CPU", 2, 2)}, fault.Invalid},
		"limit of nothing":            {"process.rlimits", []any{limit("RLIMIT_X", 1, 1)}, fault.Invalid},
		"limit upside down":           {"process.rlimits", []any{limit("RLIMIT_CPU", 1, 2)}, fault.Invalid},
		"virtual machine":             {"vm", map[string]any{"kernel": map[string]any{"path": "/x"}}, fault.Denied},
		"no process":                  {"process", nil, fault.Invalid},
		"no linux":                    {"linux", nil, fault.Invalid},
		"no root":                     {"root", map[string]any{}, fault.Invalid},
		"annotation is a number":      {"annotations", map[string]any{"a": 1}, fault.Invalid},
		"memory is a string":          {"linux.resources.memory", map[string]any{"limit": "max"}, fault.Invalid},
		"memory is a fraction":        {"linux.resources.memory", map[string]any{"limit": 1.5}, fault.Invalid},
		"processors are a path":       {"linux.resources.cpu", map[string]any{"cpus": "../0"}, fault.Invalid},
		"capabilities are no strings": {"process.capabilities", map[string]any{"bounding": []any{1}}, fault.Invalid},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := rewrite.Create(edit(t, "plain.config", tt.where, tt.v), grant(), situation())
			if !fault.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

func limit(kind string, hard, soft uint64) map[string]any {
	return map[string]any{"type": kind, "hard": hard, "soft": soft}
}

func space(kind, path string) map[string]any {
	return map[string]any{"type": kind, "path": path}
}

// spaces are those that every container has, but for one.
func spaces(but ...string) []any {
	var all []any
	for _, kind := range []string{"mount", "network", "uts", "pid", "ipc"} {
		if len(but) == 0 || kind != but[0] {
			all = append(all, space(kind, ""))
		}
	}
	return all
}

func TestTwoReadersReadTheSame(t *testing.T) {
	plain := string(captured(t, "plain.config"))
	for name, config := range map[string]string{
		"member twice":           strings.Replace(plain, `"root":`, `"root":{"path":"/"},"root":`, 1),
		"twice, one escaped":     strings.Replace(plain, `"root":`, `"ro\u006ft":{"path":"/"},"root":`, 1),
		"twice, deeper":          strings.Replace(plain, `"cwd":"/"`, `"cwd":"/","cwd":"/proc"`, 1),
		"twice, in the unknown":  strings.Replace(plain, `{`, `{"x":[{"a":1,"a":2}],`, 1),
		"another case":           strings.Replace(plain, `"root":`, `"Hooks":{},"root":`, 1),
		"another case in linux":  strings.Replace(plain, `"cgroupsPath":`, `"CgroupsPath":"/x","cgroupsPath":`, 1),
		"case by long s":         strings.Replace(plain, `"cgroupsPath":`, `"cgroup\u017fPath":"/x","cgroupsPath":`, 1),
		"case by Kelvin":         strings.Replace(plain, `"root":`, `"hoo\u212as":{},"root":`, 1),
		"case in a mount":        strings.Replace(plain, `"destination":"/proc"`, `"destination":"/proc","Type":"bind"`, 1),
		"case in a namespace":    strings.Replace(plain, `{"type":"uts"}`, `{"type":"uts","PATH":"/proc/1/ns/uts"}`, 1),
		"case in a limit":        strings.Replace(plain, `"memory":{`, `"memory":{"LIMIT":-1,`, 1),
		"NUL ends a name":        strings.Replace(plain, `"root":`, `"hooks\u0000":{},"root":`, 1),
		"NUL ends a value":       strings.Replace(plain, `"type":"uts"`, `"type":"uts\u0000x"`, 1),
		"NUL after a backslash":  strings.Replace(plain, `"type":"uts"`, `"type":"uts\\\u0000x"`, 1),
		"not UTF-8":              strings.Replace(plain, `"cwd":"/"`, "\"cwd\":\"/\xff\"", 1),
		"two documents":          plain + plain,
		"comment":                strings.Replace(plain, `{`, `{/*x*/`, 1),
		"cut off":                plain[:len(plain)/2],
		"an array":               "[" + plain + "]",
		"empty":                  "",
		"null":                   "null",
		"deep":                   strings.Replace(plain, `{`, `{"x":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+`,`, 1),
		"large":                  strings.Replace(plain, `{`, `{"x":"`+strings.Repeat("x", 5<<20)+`",`, 1),
		"two lone surrogates":    strings.Replace(plain, `{`, `{"x":{"\ud800":1,"\ud801":2},`, 1),
		"byte order mark":        "\ufeff" + plain,
		"many names, then twice": strings.Replace(plain, `{`, `{"x":{`+manyNames(40)+`"n7":1},`, 1),
	} {
		if config == plain {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, err := rewrite.Create([]byte(config), grant(), situation()); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, want invalid", name, err)
		}
		if _, err := rewrite.Read([]byte(config)); err == nil && !strings.Contains(name, "case in") {
			t.Errorf("%s: read", name)
		}
	}
	text := strings.Replace(plain, `"args":["true"]`, `"args":["printf","\\u0000 \\\\u0000 \" ] } ,"]`, 1)
	_, spec := create(t, []byte(text), grant(), situation())
	if got := spec.Process.Args[1]; got != `\u0000 \\u0000 " ] } ,` {
		t.Errorf("an argument that only looks like it: %q", got)
	}
}

func manyNames(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`"n` + string(rune('0'+i%10)) + strings.Repeat("x", i/10) + `":1,`)
	}
	return b.String()
}

func TestLeftOut(t *testing.T) {
	tests := map[string]struct {
		where string
		v     any
		left  func(*specs.Spec) bool
	}{
		"mappings of a mount": {"mounts", []any{map[string]any{
			"destination": "/x", "type": "bind", "source": "/srv", "options": []string{"bind", "idmap=uids=0-0-1", "suid", "dev", "shared"},
			"uidMappings": []any{map[string]any{"containerID": 0, "hostID": 0, "size": 1}},
		}}, func(s *specs.Spec) bool { return len(s.Mounts[0].Options) == 5 }},
		"user namespace of another": {
			"linux.namespaces", append(spaces(), space("user", "/proc/1/ns/user")),
			func(s *specs.Spec) bool { return s.Linux.Namespaces[0].Path == "/b/userns" },
		},
		"shared propagation":      {"linux.rootfsPropagation", "rshared", func(s *specs.Spec) bool { return s.Linux.RootfsPropagation == "rslave" }},
		"private propagation":     {"linux.rootfsPropagation", "private", func(s *specs.Spec) bool { return s.Linux.RootfsPropagation == "private" }},
		"mappings of the host":    {"linux.uidMappings", []any{map[string]any{"containerID": 0, "hostID": 0, "size": 4294967295}}, func(s *specs.Spec) bool { return s.Linux.UIDMappings == nil }},
		"cache of the host":       {"linux.intelRdt", map[string]any{"closID": "x"}, func(s *specs.Spec) bool { return s.Linux.IntelRdt == nil }},
		"realtime":                {"process.scheduler", map[string]any{"policy": "SCHED_FIFO", "priority": 99}, func(s *specs.Spec) bool { return s.Process.Scheduler == nil }},
		"disk first":              {"process.ioPriority", map[string]any{"class": "IOPRIO_CLASS_RT"}, func(s *specs.Spec) bool { return s.Process.IOPriority == nil }},
		"files of control groups": {"linux.resources.unified", map[string]any{"memory.max": "max"}, func(s *specs.Spec) bool { return s.Linux.Resources.Unified == nil }},
		"never killed":            {"process.oomScoreAdj", -1000, func(s *specs.Spec) bool { return *s.Process.OOMScoreAdj == 0 }},
		"huge tmpfs": {"mounts", mount("/x", "tmpfs", "tmpfs", "size=100%", "nr_inodes=0", "huge=always", "suid", "dev"), func(s *specs.Spec) bool {
			return strings.Join(s.Mounts[0].Options, ",") == "nosuid,nodev,size=536870912"
		}},
		"small tmpfs": {"mounts", mount("/x", "tmpfs", "tmpfs", "size=2M", "mode=1777", "uid=7", "noexec"), func(s *specs.Spec) bool {
			return strings.Join(s.Mounts[0].Options, ",") == "nosuid,nodev,mode=1777,uid=7,noexec,size=2097152"
		}},
		"hidden processes": {"mounts", mount("/proc", "proc", "proc", "hidepid=2", "rw", "suid"), func(s *specs.Spec) bool {
			return strings.Join(s.Mounts[0].Options, ",") == "nosuid,noexec,nodev,hidepid=2"
		}},
		"sys to write": {"mounts", mount("/sys", "sysfs", "sysfs", "rw"), func(s *specs.Spec) bool {
			return strings.Join(s.Mounts[0].Options, ",") == "nosuid,noexec,nodev,ro"
		}},
		"AppArmor off": {"process.apparmorProfile", "unconfined", func(s *specs.Spec) bool { return s.Process.ApparmorProfile == "" }},
		"annotations": {"annotations", map[string]any{
			"dev.plimsoll.team": "other", "Dev.Plimsoll.X": "y", "run.oci.seccomp_bpf_data": "AAAA", "run.oci.handler": "krun",
			"org.systemd.property.DeviceAllow": "x", "io.katacontainers.config.hypervisor.path": "/x", "io.kubernetes.cri.sandbox-id": "kept",
		}, func(s *specs.Spec) bool {
			return len(s.Annotations) == 4 && s.Annotations["io.kubernetes.cri.sandbox-id"] == "kept" && s.Annotations["dev.plimsoll.team"] == team
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, spec := create(t, edit(t, "plain.config", tt.where, tt.v), grant(), situation())
			if !tt.left(spec) {
				text, _ := json.Marshal(spec)
				t.Errorf("%s", bytes.ReplaceAll(text, []byte(`,"`), []byte("\n,\"")))
			}
		})
	}
}

func TestUnknownLimitsAreNotPassedOn(t *testing.T) {
	for _, where := range []string{"linux.resources.newer", "linux.resources.memory.newer", "linux.resources.cpu.newer"} {
		plan, _ := create(t, edit(t, "plain.config", where, -1), grant(), situation())
		if bytes.Contains(plan.Config, []byte("newer")) {
			t.Errorf("%s: could lift a limit", where)
		}
	}
}

func TestBuffersWhereTheyAreCounted(t *testing.T) {
	s := situation()
	s.Unified = true
	_, spec := create(t, edit(t, "plain.config", "linux.sysctl", map[string]any{"net.ipv4.tcp_wmem": "4096\t16384 4194304"}), grant(), s)
	want := map[string]string{"net.ipv4.tcp_wmem": "4096\t16384 4194304", "net.ipv4.ping_group_range": "0 65535"}
	if d := cmp.Diff(want, spec.Linux.Sysctl); d != "" {
		t.Error(d)
	}
}

func TestAppArmorIsTheHosts(t *testing.T) {
	s := situation()
	s.AppArmor = "plimsoll"
	for _, asked := range []any{"unconfined", "", nil, "docker-default", "lsb_release"} {
		_, spec := create(t, edit(t, "plain.config", "process.apparmorProfile", asked), grant(), s)
		if spec.Process.ApparmorProfile != "plimsoll" {
			t.Errorf("%v became %q", asked, spec.Process.ApparmorProfile)
		}
	}
}

func TestBinds(t *testing.T) {
	for name, tt := range map[string]struct {
		kind    string
		options []string
		want    rewrite.Mount
		text    string
	}{
		"plain":                {"bind", []string{"bind"}, rewrite.Mount{}, "bind,rprivate,rw,nodev,nosuid"},
		"no option":            {"bind", nil, rewrite.Mount{}, "bind,rprivate,rw,nodev,nosuid"},
		"by the option":        {"none", []string{"rbind", "ro"}, rewrite.Mount{Recursive: true, ReadOnly: true}, "rbind,rprivate,ro,nodev,nosuid"},
		"no type":              {"", []string{"rbind"}, rewrite.Mount{Recursive: true}, "rbind,rprivate,rw,nodev,nosuid"},
		"hidden":               {"tmpfs", []string{"bind"}, rewrite.Mount{}, "bind,rprivate,rw,nodev,nosuid"},
		"never writable again": {"bind", []string{"ro", "rw"}, rewrite.Mount{ReadOnly: true}, "bind,rprivate,ro,nodev,nosuid"},
		"podman's":             {"bind", []string{"rbind", "rslave", "noexec", "nosuid", "nodev", "rro"}, rewrite.Mount{Recursive: true, ReadOnly: true}, "rbind,rprivate,ro,nodev,noexec,nosuid"},
		"submounts too":        {"bind", []string{"rbind", "rnoexec"}, rewrite.Mount{Recursive: true}, "rbind,rprivate,rw,nodev,noexec,nosuid"},
	} {
		t.Run(name, func(t *testing.T) {
			plan, spec := create(t, edit(t, "plain.config", "mounts", mount("/x/", tt.kind, "/srv", tt.options...)), grant(), situation())
			tt.want.Source, tt.want.Target, tt.want.Destination, tt.want.NoSuid = "/srv", "/b/m0", "/x", true
			if len(plan.Mounts) != 1 || plan.Mounts[0] != tt.want {
				t.Errorf("%+v, want %+v", plan.Mounts, tt.want)
			}
			if m := spec.Mounts[0]; m.Type != "bind" || m.Source != "/b/m0" || strings.Join(m.Options, ",") != tt.text {
				t.Errorf("%+v", m)
			}
		})
	}
}
