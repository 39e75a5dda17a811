//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"plimsoll/internal/idmap"
	"plimsoll/internal/profile"
)

// capability numbers of the names that profiles of this battery have
// (capabilities(7)).
var capability = map[string]uint{
	"CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "FSETID": 4, "KILL": 5, "SETGID": 6, "SETUID": 7, "SETPCAP": 8, "NET_BIND_SERVICE": 10, "SYS_CHROOT": 18, "SETFCAP": 31,
}

// harmful looks from the host at a process of a container and returns what it
// has that p, as its team's profile, does not grant.
func harmful(t *testing.T, s *setup, pid int, p profile.Profile) []string {
	t.Helper()
	read := func(name string) string {
		text, err := os.ReadFile(s.Host.Proc(pid, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	var bad []string
	say := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	for _, name := range []string{"uid_map", "gid_map"} {
		f := strings.Fields(read(name))
		if base, err := strconv.Atoi(f[1]); err != nil || len(f) != 3 || f[0] != "0" || !idmap.Default.Contains(uint32(base)) || f[2] != "65536" {
			say("%s: %v", name, f)
		}
	}
	var granted uint64
	for _, c := range p.Capabilities {
		granted |= 1 << capability[c]
	}
	for line := range strings.Lines(read("status")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":\t")
		switch name {
		case "CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb":
			if has, err := strconv.ParseUint(value, 16, 64); err != nil || has&^granted != 0 {
				say("%s: %s, granted %016x", name, value, granted)
			}
		case "Seccomp":
			if value != "2" {
				say("seccomp: %s", value)
			}
		case "NoNewPrivs":
			if value != "1" && !p.SetuidFiles {
				say("no_new_privs: %s", value)
			}
		}
	}
	for _, kind := range []string{"user", "pid", "net", "ipc", "mnt", "uts", "cgroup"} {
		link, err := os.Readlink(s.Host.Proc(pid, "ns/"+kind))
		if err != nil {
			t.Fatal(err)
		}
		if link == s.space(t.Context(), kind) {
			say("namespace: the host's %s", kind)
		}
	}
	if strings.HasPrefix(read("oom_score_adj"), "-") {
		say("oom score: %s", read("oom_score_adj"))
	}
	return append(append(bad, badGroups(s, read("cgroup"), p)...), badMounts(s, read("mountinfo"), p)...)
}

// badGroups checks that a process is below its team's control groups, with
// limits no higher than the profile's.
func badGroups(s *setup, text string, p profile.Profile) []string {
	var bad []string
	most := map[string]int64{"memory/memory.limit_in_bytes": p.Memory, "pids/pids.max": p.PIDs, "cpu/cpu.cfs_quota_us": int64(p.CPUs * 100000)}
	for line := range strings.Lines(text) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if f[1] == "" {
			continue // version 2 beside version 1 has no controllers
		}
		if !strings.HasPrefix(f[2], "/plimsoll/"+s.teams[0]+"/") {
			bad = append(bad, "cgroup: "+line)
		}
		for file, limit := range most {
			tree, name, _ := strings.Cut(file, "/")
			if !slices.Contains(strings.Split(f[1], ","), tree) {
				continue
			}
			value, err := os.ReadFile(filepath.Join("/sys/fs/cgroup", f[1], f[2], name))
			if n, notNumber := strconv.ParseInt(strings.TrimSpace(string(value)), 10, 64); err != nil || notNumber != nil || n < 0 || n > limit {
				bad = append(bad, fmt.Sprintf("limit: %s is %q (%v), more than %d", name, value, err, limit))
			}
		}
	}
	return bad
}

// badMounts checks that what is mounted is the container's own, that what the
// kernel tells in /proc is masked, and that there are no devices of the host.
func badMounts(s *setup, text string, p profile.Profile) []string {
	var bad []string
	masked, fixed := false, false
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		root, point, options := f[3], f[4], f[5]
		i := slices.Index(f, "-")
		kind, optional := f[i+1], f[6:i]
		masked = masked || point == "/proc/timer_list"
		fixed = fixed || point == "/proc/sys" && strings.HasPrefix(options, "ro")
		own := strings.HasPrefix(root, s.Host.Dir+"/docker/containers/") || strings.HasPrefix(root, s.Host.Dir+"/docker/volumes/") || strings.HasPrefix(root, "/docker-init") || point == "/sbin/docker-init"
		if !own && !slices.Contains([]string{"overlay", "proc", "tmpfs", "devpts", "sysfs", "mqueue", "cgroup", "cgroup2", "devtmpfs"}, kind) {
			bad = append(bad, "mount: "+line)
		}
		for _, o := range optional {
			if strings.HasPrefix(o, "shared:") && strings.Contains(s.mountinfo(), " "+o+" ") {
				bad = append(bad, "mount shared with the host: "+line)
			}
		}
		if point == "/" && p.ReadOnly && !strings.HasPrefix(options, "ro") {
			bad = append(bad, "root can be written")
		}
	}
	if !masked || !fixed {
		bad = append(bad, fmt.Sprintf("proc: masked %t, read-only %t", masked, fixed))
	}
	return bad
}

func (s *setup) mountinfo() string {
	text, err := os.ReadFile(s.Host.Proc(1, "mountinfo"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}
