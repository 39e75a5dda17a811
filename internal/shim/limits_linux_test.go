package shim_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"plimsoll/internal/seal/protocol"
)

// TestEgress runs a container with a list of destinations: its network namespace
// has the rules before its first process runs, and a second one in it cannot
// bring others, or take them away.
func TestEgress(t *testing.T) {
	need(t, "nft", "nsenter")
	if out, err := exec.CommandContext(t.Context(), "nft", "list", "tables").CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("needs a kernel with nftables: %s", out)
		}
		t.Skipf("needs a kernel with nftables: %s", out)
	}
	h := newHost(t)
	mounts := h.mounts()
	h.give(func(g *protocol.Grant) {
		g.Profile.Network.Egress, g.Egress = []string{"10.0.0.0/8:5432"}, []string{"10.0.0.0/8:5432"}
	})
	b := h.container(h.image(), "sleep 1000")
	b.start()
	rules, err := exec.CommandContext(t.Context(), "nsenter", "--net=/proc/"+b.pid()+"/ns/net", "nft", "list", "ruleset").CombinedOutput()
	if err != nil || !strings.Contains(string(rules), "table inet plimsoll") || !strings.Contains(string(rules), "5432") {
		t.Errorf("%v: %s", err, rules)
	}
	h.give(func(g *protocol.Grant) {
		g.Profile.Network.Egress, g.Egress = []string{"0.0.0.0/0:80"}, []string{"0.0.0.0/0:80"}
	})
	other := h.container(h.image(), "echo started")
	other.set([]any{
		map[string]any{"type": "network", "path": "/proc/" + b.pid() + "/ns/net"},
		map[string]any{"type": "pid"},
		map[string]any{"type": "ipc"},
		map[string]any{"type": "uts"},
		map[string]any{"type": "mount"},
	}, "linux", "namespaces")
	other.refused("other destinations")
	if out, err := h.call("delete", "--force", b.id); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	h.clean(mounts)
}
