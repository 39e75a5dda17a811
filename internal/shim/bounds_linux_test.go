package shim_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/nftables"

	"plimsoll/internal/profile"
	"plimsoll/internal/seal"
	"plimsoll/internal/seal/apparmor"
	"plimsoll/internal/seal/protocol"
	"plimsoll/internal/seal/quota"
)

func TestStorageIsBounded(t *testing.T) {
	h := newHost(t)
	merged, upper := h.overlay("s", 1, "")
	h.give(func(g *protocol.Grant) { g.Profile.Storage, g.Project = 16<<20, 4242 })
	b := h.container(merged, "dd if=/dev/zero of=/big bs=65536 count=1024; ls -l /big")
	out, err := b.run()
	if lack := quota.Supported(h.dir); lack != nil {
		if err == nil || !strings.Contains(out, "project quotas") || os.Getenv("PLIMSOLL_GUEST") != "" {
			t.Errorf("without quotas the container should be refused: %v: %s", err, out)
		}
		return
	}
	full := strings.Contains(out, "No space left") || strings.Contains(out, "uota exceeded")
	if info, statErr := os.Stat(filepath.Join(upper, "big")); !full || statErr != nil || info.Size() > 16<<20 {
		t.Errorf("%v, %v: %s", err, statErr, out)
	}
	h.give(func(g *protocol.Grant) { g.Profile.Storage = 16 << 20 })
	if out, err := h.container(merged, "true").run(); err == nil {
		t.Errorf("a limit without a project: %s", out)
	}
}

func TestEgressIsSetBeforeTheProgramRuns(t *testing.T) {
	h := newHost(t)
	for name, change := range map[string]func(*protocol.Grant){
		"a list": func(g *protocol.Grant) {
			g.Profile.Network.Egress = []string{"192.0.2.1:80"}
			g.Egress = []string{"192.0.2.1:80"}
		},
		"none": func(g *protocol.Grant) { g.Profile.Network = profile.Network{Mode: "none"} },
	} {
		h.give(change)
		b := h.container(h.image(), "sleep 1000")
		b.start()
		if chains := b.chains(); !strings.Contains(chains, "output") || strings.Contains(chains, "input") != (name == "none") {
			t.Errorf("%s: the container's network has the chains %q", name, chains)
		}
	}
	h.give(func(g *protocol.Grant) {
		g.Profile.Network.Egress, g.Egress = []string{"192.0.2.1:80"}, []string{"192.0.2.1:80"}
		g.Profile.Capabilities = append(g.Profile.Capabilities, "NET_RAW")
	})
	if out, err := h.container(h.image(), "true").run(); err == nil {
		t.Errorf("a list with raw packets: %s", out)
	}
}

// chains returns the names of the chains of our table in the container's
// network.
func (b *bundle) chains() string {
	b.Helper()
	pid, err := os.ReadFile(filepath.Join(b.dir, "pid"))
	b.must(err)
	netns, err := os.Open("/proc/" + strings.TrimSpace(string(pid)) + "/ns/net")
	b.must(err)
	defer func() { _ = netns.Close() }()
	c, err := nftables.New(nftables.WithNetNSFd(int(netns.Fd())))
	b.must(err)
	all, err := c.ListChainsOfTableFamily(nftables.TableFamilyINet)
	b.must(err)
	var names []string
	for _, chain := range all {
		if chain.Table.Name == "plimsoll" {
			names = append(names, chain.Name)
		}
	}
	return strings.Join(names, " ")
}

func TestAppArmorIsSet(t *testing.T) {
	h := newHost(t)
	if !apparmor.Available() {
		if os.Getenv("PLIMSOLL_GUEST") != "" {
			t.Fatal("this kernel should have AppArmor")
		}
		t.Skip("needs a kernel with AppArmor: make vm")
	}
	if err := apparmor.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	out, err := h.container(h.image(), "cat /proc/self/attr/current; touch /x && echo made").run()
	if err != nil || !strings.Contains(out, apparmor.Name+" (enforce)") || !strings.Contains(out, "made") {
		t.Errorf("%v: %s", err, out)
	}
}

// What a team may have holds, though the container's own limit was lifted by
// the runtime behind, which an engine's `update` ends in.
func TestTeamTotalCannotBeLifted(t *testing.T) {
	h := newHost(t)
	h.give(func(g *protocol.Grant) {
		g.Team, g.Profile.PIDs, g.Profile.Total.PIDs = "shimtest-total", 20, 24
	})
	b := h.container(h.image(), "sleep 1000")
	b.start()
	if out, err := exec.CommandContext(t.Context(), runc, "--root", h.root, "update", "--pids-limit", "1000", b.id).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, _ := h.call("exec", b.id, "/bin/sh", "-c", "i=0; while [ $i -lt "+strconv.Itoa(60)+" ]; do sleep 1000 >/dev/null 2>&1 & i=$((i+1)); done; echo all of them")
	if !strings.Contains(out, "fork") || strings.Contains(out, "all of them") {
		t.Errorf("60 processes where the team may have 24: %s", out)
	}
}

// What a team's containers leave of its total is what its volumes hold together,
// and whoever starts first does not matter.
func TestTotalOfStorageIsBounded(t *testing.T) {
	h := newHost(t)
	volumes := filepath.Join(h.dir, "volumes")
	for _, name := range []string{"one", "two"} {
		h.must(os.MkdirAll(filepath.Join(volumes, name, "_data"), 0o755))
	}
	give := func(project uint32, left int64, turn uint64) {
		h.give(func(g *protocol.Grant) {
			g.Profile.Storage, g.Project = 8<<20, project
			g.Profile.Total.Storage, g.TeamProject, g.Volumes, g.Turn = 40<<20, 4300, left, turn
			g.VolumeRoots, g.VolumeNames = []string{volumes}, []string{"one", "two"}
		})
	}
	fill := func(name, volume, script string) (*bundle, string, error) {
		merged, _ := h.overlay(name, 1, "")
		b := h.container(merged, script)
		b.mount(map[string]any{"type": "bind", "source": filepath.Join(volumes, volume, "_data"), "destination": "/v", "options": []string{"rbind", "rw"}})
		out, err := b.run()
		return b, out, err
	}
	give(4301, 32<<20, 1)
	if lack := quota.Supported(h.dir); lack != nil {
		_, out, err := fill("no", "one", "true")
		if err == nil || !strings.Contains(out, "project quotas") || os.Getenv("PLIMSOLL_GUEST") != "" {
			t.Errorf("without quotas the container should be refused: %v: %s", err, out)
		}
		return
	}
	const write = "dd if=/dev/zero of=/v/big bs=65536 count="
	if _, out, err := fill("a", "one", write+"160"); err != nil { // 10 MiB of 32
		t.Fatalf("%v: %s", err, out)
	}
	give(4302, 24<<20, 3)
	_, out, err := fill("b", "two", write+"640") // 40 MiB of the 14 that are left
	if err == nil || !strings.Contains(out, "No space left") && !strings.Contains(out, "uota exceeded") {
		t.Errorf("%v: %s", err, out)
	}
	if used := h.used(volumes, 4300); used.Bytes > 24<<20 || used.Bytes < 20<<20 {
		t.Errorf("the volumes hold %+v", used)
	}

	// An answer that was given before the last one comes late: it raises nothing.
	give(4303, 32<<20, 2)
	if _, out, err := fill("c", "one", "true"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if used := h.used(volumes, 4300); used.MaxBytes > 24<<20 {
		t.Errorf("an older answer has raised the limit: %+v", used)
	}

	// A container for which the volumes leave nothing does not start, and what was
	// set stays.
	give(4304, 16<<20, 4)
	if _, out, err := fill("d", "one", "echo started"); err == nil || !strings.Contains(out, "volumes hold") {
		t.Errorf("%v: %s", err, out)
	}
	if used := h.used(volumes, 4300); used.MaxBytes != 24<<20 {
		t.Errorf("a refused container has changed the limit: %+v", used)
	}
}

func (h *host) used(dir string, project uint32) quota.Project {
	h.Helper()
	p, err := quota.Usage(dir, project)
	h.must(err)
	return p
}

// A weight is refused where the disk weighs nothing. Where it does, the group has
// the weight.
func TestIOWeightIsHeldOrRefused(t *testing.T) {
	h := newHost(t)
	h.give(func(g *protocol.Grant) { g.Profile.IOWeight = 200 })
	try := func(name string, weighs bool) {
		t.Helper()
		merged, _ := h.overlay(name, 1, "")
		b := h.container(merged, "sleep 1000")
		b.write()
		if !weighs {
			if out, err := b.run(); err == nil || !strings.Contains(out, "io.weight cannot be enforced") {
				t.Errorf("%s: %v: %s", name, err, out)
			}
			return
		}
		b.start()
		text, err := os.ReadFile(filepath.Join("/sys/fs/cgroup/plimsoll", team, b.id, "io.bfq.weight"))
		if err != nil || strings.TrimSpace(string(text)) != "default 200" && strings.TrimSpace(string(text)) != "200" {
			t.Errorf("%s: the weight is %q: %v", name, text, err)
		}
	}
	if os.Getenv("PLIMSOLL_GUEST") == "" {
		if seal.Weighs(h.dir) == nil {
			t.Skip("this disk weighs; the machine has one that does not: make vm")
		}
		try("none", false)
		return
	}
	const scheduler = "/sys/block/vda/queue/scheduler"
	h.must(os.WriteFile(scheduler, []byte("none"), 0))
	try("none", false)
	h.must(os.WriteFile(scheduler, []byte("bfq"), 0))
	try("bfq", true)
	h.must(os.WriteFile(scheduler, []byte("none"), 0))
}
