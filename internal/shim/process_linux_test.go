package shim_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll/internal/seal/protocol"
)

// TestExec gives a process no more than the container has, whatever is asked.
func TestExec(t *testing.T) {
	h := newHost(t)
	mounts := h.mounts()
	b := h.container(h.image(), "sleep 1000")
	b.start()
	all := []string{"CAP_SYS_ADMIN", "CAP_NET_RAW", "CAP_KILL", "CAP_SYS_PTRACE"}
	text, err := json.Marshal(map[string]any{
		"args": []string{"cat", "/proc/self/status", "/proc/self/uid_map", "/proc/self/limits"}, "env": []string{"PATH=/bin"}, "cwd": "/", "user": map[string]any{"uid": 0, "gid": 0},
		"capabilities": map[string]any{"bounding": all, "effective": all, "permitted": all, "inheritable": all, "ambient": all},
		"rlimits":      []any{map[string]any{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 99}},
	})
	h.must(err)
	file := filepath.Join(h.dir, "process.json")
	h.must(os.WriteFile(file, text, 0o644))
	out, err := h.call("exec", "--process", file, b.id)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !strings.Contains(out, "CapEff:\t0000000000000020") || !strings.Contains(out, "Seccomp:\t2") || strings.Contains(out, "4294967295") {
		t.Errorf("has more than CAP_KILL: %s", out)
	}
	if !strings.Contains(out, "99") {
		t.Errorf("limits: %s", out)
	}
	if after, err := os.ReadFile(file); err != nil || string(after) != string(text) {
		t.Errorf("the engine's file was changed: %s, %v", after, err)
	}
	if out, err := h.call("exec", "-e", "A=b", "--cwd=/tmp", "-u", "1000:1001", b.id, "sh", "-c", "echo $A; id -u; id -g; pwd"); err != nil || out != "b\n1000\n1001\n/tmp\n" {
		t.Errorf("flags: %v: %q", err, out)
	}
	if out, err := h.call("delete", "--force", b.id); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	h.clean(mounts)
}

// TestUpdate lifts no limit above the profile's.
func TestUpdate(t *testing.T) {
	h := newHost(t)
	b := h.container(h.image(), "sleep 1000")
	b.start()
	for _, resources := range []string{`{"memory":{"limit":4294967296},"pids":{"limit":-1}}`, `{"memory":{"limit":67108864},"pids":{"limit":32}}`} {
		if out, err := h.callIn([]byte(resources), "update", "--resources", "-", b.id); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		want := map[string]string{"pids.max": "64", "memory.limit_in_bytes": "134217728", "memory.max": "134217728"}
		if strings.Contains(resources, "32") {
			want = map[string]string{"pids.max": "32", "memory.limit_in_bytes": "67108864", "memory.max": "67108864"}
		}
		seen := 0
		for file, value := range want {
			found, _ := filepath.Glob("/sys/fs/cgroup/*/plimsoll/" + team + "/" + b.id + "/" + file)
			unified, _ := filepath.Glob("/sys/fs/cgroup/plimsoll/" + team + "/" + b.id + "/" + file)
			for _, path := range append(found, unified...) {
				seen++
				if got, err := os.ReadFile(path); err != nil || strings.TrimSpace(string(got)) != value {
					t.Errorf("%s: %s is %s, %v; want %s", resources, path, got, err, value)
				}
			}
		}
		if seen < 2 {
			t.Errorf("saw %d limits", seen)
		}
	}
}

// TestJoin shares namespaces within a team, and only there.
func TestJoin(t *testing.T) {
	h := newHost(t)
	mounts := h.mounts()
	first := h.container(h.image(), "hostname theirs; sleep 1000")
	first.start()
	pid, err := os.ReadFile(filepath.Join(first.dir, "pid"))
	h.must(err)
	join := func(of string, extra ...any) *bundle {
		h.give(func(g *protocol.Grant) { g.Team = of })
		b := h.container(h.image(), "cat /proc/self/uid_map; ps")
		spaces := []any{
			map[string]any{"type": "pid", "path": fmt.Sprintf("/proc/%s/ns/pid", pid)},
			map[string]any{"type": "network", "path": fmt.Sprintf("/proc/%s/ns/net", pid)},
			map[string]any{"type": "ipc"},
			map[string]any{"type": "uts"},
			map[string]any{"type": "mount"},
		}
		b.set(append(spaces, extra...), "linux", "namespaces")
		return b
	}
	out, err := join(team).run()
	theirs, err2 := h.call("exec", first.id, "cat", "/proc/self/uid_map")
	if err != nil || err2 != nil || !strings.HasPrefix(out, theirs) || !strings.Contains(out, "sleep 1000") {
		t.Errorf("%v, %v: %s, not %s", err, err2, out, theirs)
	}
	var joins []string
	for _, q := range h.asked(protocol.Create) {
		joins = append(joins, q.Joins...)
	}
	if len(joins) != 1 || joins[0] != first.id {
		t.Errorf("asked with %q", joins)
	}
	join(team + "2").refused("cannot join namespaces of team")

	h.give(func(*protocol.Grant) {})
	other := h.container(h.image(), "sleep 1000")
	other.start()
	pid2, err := os.ReadFile(filepath.Join(other.dir, "pid"))
	h.must(err)
	mixed := join(team)
	mixed.set([]any{
		map[string]any{"type": "pid", "path": fmt.Sprintf("/proc/%s/ns/pid", pid)},
		map[string]any{"type": "network", "path": fmt.Sprintf("/proc/%s/ns/net", pid2)},
		map[string]any{"type": "ipc"},
		map[string]any{"type": "uts"},
		map[string]any{"type": "mount"},
	}, "linux", "namespaces")
	mixed.refused("different IDs")
	for _, b := range []*bundle{first, other} {
		if out, err := h.call("delete", "--force", b.id); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	h.clean(mounts)
}
