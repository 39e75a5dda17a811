package shim_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll/internal/agent"
	"plimsoll/internal/profile"
	"plimsoll/internal/seal/protocol"
	"plimsoll/internal/seal/rewrite"
)

// TestSystemdHoldsTotals starts containers as an engine does that leaves control
// groups to systemd.
func TestSystemdHoldsTotals(t *testing.T) {
	if os.Getenv("PLIMSOLL_SYSTEMD") == "" {
		t.Skip("needs systemd as the first process, and control groups of version 2: make vm")
	}
	h := newHost(t)
	h.flags = []string{"--systemd-cgroup"}
	const name = "systemd-total"
	total := profile.Share{CPUs: 0.5, Memory: 160 << 20, PIDs: 24}
	give := func(most profile.Share) {
		h.give(func(g *protocol.Grant) {
			g.Team, g.Profile.CPUs, g.Profile.PIDs, g.Profile.Total = name, 0.5, 20, most
		})
	}
	give(total)
	asked := func(script string) *bundle {
		b := h.container(h.image(), script)
		b.set("system.slice:docker:"+b.id, "linux", "cgroupsPath")
		return b
	}
	if out, err := asked("echo started").run(); err == nil || !strings.Contains(out, "is not enforced") {
		t.Errorf("a slice that nobody bounds: %v: %s", err, out)
	}
	var manager agent.Systemd
	slice := rewrite.Slice(name)
	h.must(manager.Limit(t.Context(), slice, total))
	h.must(manager.Limit(t.Context(), slice, total))

	b := asked("sleep 1000")
	b.start()
	folder := "/plimsoll.slice/" + slice
	group, err := os.ReadFile("/proc/" + b.pid() + "/cgroup")
	if want := "0::" + folder + "/plimsoll-" + b.id + ".scope\n"; err != nil || string(group) != want {
		t.Errorf("%v: the container is in %q, not %q", err, group, want)
	}
	for file, want := range map[string]string{"memory.max": "167772160", "memory.swap.max": "0", "pids.max": "24", "cpu.max": "50000 100000"} {
		text, err := os.ReadFile(filepath.Join("/sys/fs/cgroup", folder, file))
		if got := strings.TrimSpace(string(text)); err != nil || got != want {
			t.Errorf("%s is %q, not %q: %v", file, got, want, err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), runc, "--systemd-cgroup", "--root", h.root, "update", "--pids-limit", "1000", b.id).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, _ := h.call("exec", b.id, "/bin/sh", "-c", "i=0; while [ $i -lt 60 ]; do sleep 1000 >/dev/null 2>&1 & i=$((i+1)); done; echo all of them")
	if !strings.Contains(out, "fork") || strings.Contains(out, "all of them") {
		t.Errorf("60 processes where the team may have 24: %s", out)
	}

	// The policy changes: systemd lifts and lowers what it holds.
	if out, err := exec.CommandContext(t.Context(), "systemctl", "set-property", "--runtime", slice, "TasksMax=infinity").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := asked("echo started").run(); err == nil || !strings.Contains(out, "total.pids is not enforced") {
		t.Errorf("a slice whose limit somebody has lifted: %v: %s", err, out)
	}
	total.PIDs = 70
	h.must(manager.Limit(t.Context(), slice, total))
	give(total)
	if out, err := asked("echo started").run(); err != nil || !strings.Contains(out, "started") {
		t.Errorf("after the policy was changed: %v: %s", err, out)
	}
	h.must(manager.Limit(t.Context(), slice, profile.Share{}))
	if text, err := os.ReadFile(filepath.Join("/sys/fs/cgroup", folder, "pids.max")); err != nil || strings.TrimSpace(string(text)) != "max" {
		t.Errorf("%v: without totals the limit is %q", err, text)
	}
}
