package rewrite_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/runtime-spec/specs-go"

	"plimsoll/internal/fault"
	"plimsoll/internal/profile"
	"plimsoll/internal/seal/protocol"
	"plimsoll/internal/seal/rewrite"
)

var update = flag.Bool("update", false, "write what is wanted anew")

// create returns what becomes of a document, which must be harmless.
func create(t *testing.T, config []byte, g *protocol.Grant, s rewrite.Situation) (*rewrite.Plan, *specs.Spec) {
	t.Helper()
	plan, err := rewrite.Create(config, g, s)
	if err != nil {
		t.Fatal(err)
	}
	if err := harmless(plan, g, s); err != nil {
		t.Fatal(err)
	}
	var spec specs.Spec
	if err := json.Unmarshal(plan.Config, &spec); err != nil {
		t.Fatal(err)
	}
	return plan, &spec
}

func TestWhatEnginesAskForIsHarmless(t *testing.T) {
	host := map[string]string{
		"nethost":       "the host's network namespace",
		"pidhost":       "the host's pid namespace",
		"otherhosts":    "the host's ipc namespace",
		"ctrprivileged": "the host's network namespace",
	}
	profiles := map[string]func(*profile.Profile){
		"plain": func(*profile.Profile) {},
		"poor": func(p *profile.Profile) {
			p.Capabilities, p.CPUs, p.Memory, p.PIDs, p.IOWeight = nil, 0.01, 6<<20, 1, 10
		},
		"setuid":   func(p *profile.Profile) { p.SetuidFiles = true },
		"readonly": func(p *profile.Profile) { p.ReadOnly = true },
	}
	for name, config := range captures(t, ".config.json") {
		for kind, change := range profiles {
			t.Run(name+"/"+kind, func(t *testing.T) {
				g := grant()
				change(&g.Profile)
				want, refused := host[name]
				if !refused {
					create(t, config, g, situation())
					return
				}
				_, err := rewrite.Create(config, g, situation())
				if !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), want) {
					t.Errorf("%v, want %q", err, want)
				}
			})
		}
	}
}

func TestGolden(t *testing.T) {
	for _, name := range []string{"plain", "privileged", "volume", "limits", "readonly", "join", "podman", "ctr"} {
		t.Run(name, func(t *testing.T) {
			plan, spec := create(t, captured(t, name+".config"), grant(), situation())
			spec.Linux.Seccomp.Syscalls = nil // looked at by harmless
			got, err := json.MarshalIndent(struct {
				Spec *specs.Spec
				Plan rewrite.Plan
			}{spec, rewrite.Plan{Root: plan.Root, Mounts: plan.Mounts, Devices: plan.Devices, Rlimits: plan.Rlimits, Join: plan.Join, Hooks: plan.Hooks}}, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name+".want")
			if *update {
				if err := os.WriteFile(file, append(got, '\n'), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), string(got)+"\n"); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestPrivilegedIsLikePlain(t *testing.T) {
	_, plain := create(t, captured(t, "plain.config"), grant(), situation())
	_, privileged := create(t, captured(t, "privileged.config"), grant(), situation())
	if d := cmp.Diff(plain.Process.Capabilities, privileged.Process.Capabilities); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(plain.Linux.Resources, privileged.Linux.Resources); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(plain.Linux.MaskedPaths[:18], privileged.Linux.MaskedPaths); d != "" {
		t.Error(d)
	}
}

func TestLimitsAreTheLower(t *testing.T) {
	_, low := create(t, captured(t, "limits.config"), grant(), situation())
	r := low.Linux.Resources
	if *r.Memory.Limit != 64<<20 || *r.Pids.Limit != 20 || *r.CPU.Quota*2 != int64(*r.CPU.Period) || r.CPU.Cpus != "0" || *r.CPU.Shares != 1024 {
		t.Errorf("a container may have less: %+v %+v %+v", r.Memory, r.Pids, r.CPU)
	}
	_, high := create(t, captured(t, "many.config"), grant(), situation())
	r = high.Linux.Resources
	if *r.Memory.Limit != 512<<20 || *r.Memory.Swap != 512<<20 || *r.Pids.Limit != 256 || *r.CPU.Quota != 150_000 || *r.CPU.Period != 100_000 {
		t.Errorf("%+v %+v %+v", r.Memory, r.Pids, r.CPU)
	}
	s := situation()
	s.Swap = false
	if _, spec := create(t, captured(t, "many.config"), grant(), s); spec.Linux.Resources.Memory.Swap != nil {
		t.Error("swap on a kernel that does not account for it")
	}
}

func TestCgroupFollowsTheDriver(t *testing.T) {
	g := grant()
	g.Team = "pay-roll_2"
	for asked, want := range map[string]string{
		"":                         "/plimsoll/pay-roll_2/" + container,
		"/docker/x":                "/plimsoll/pay-roll_2/" + container,
		"system.slice:docker:x":    `plimsoll-pay\x2droll_2.slice:plimsoll:` + container,
		"/a:b:c":                   "/plimsoll/pay-roll_2/" + container,
		"../../../etc":             "/plimsoll/pay-roll_2/" + container,
		"/plimsoll/other-team/abc": "/plimsoll/pay-roll_2/" + container,
	} {
		_, spec := create(t, edit(t, "plain.config", "linux.cgroupsPath", asked), g, situation())
		if spec.Linux.CgroupsPath != want {
			t.Errorf("%q became %q, want %q", asked, spec.Linux.CgroupsPath, want)
		}
	}
}

func TestJoinsAreListed(t *testing.T) {
	plan, spec := create(t, captured(t, "join.config"), grant(), situation())
	want := []specs.LinuxNamespace{
		{Type: "network", Path: "/proc/694/ns/net"}, {Type: "pid", Path: "/proc/694/ns/pid"}, {Type: "ipc", Path: "/proc/694/ns/ipc"},
	}
	if d := cmp.Diff(want, plan.Join); d != "" {
		t.Error(d)
	}
	if _, set := spec.Linux.Sysctl["net.ipv4.ping_group_range"]; set {
		t.Error("a switch of another container's network")
	}
	s := situation()
	s.HostSpace = nil
	if _, err := rewrite.Create(captured(t, "join.config"), grant(), s); !fault.Is(err, fault.Denied) {
		t.Errorf("a namespace that nobody looked at: %v", err)
	}
}

func TestDevicesComeFromTheProfile(t *testing.T) {
	g := grant()
	if plan, _ := create(t, captured(t, "privileged.config"), g, situation()); len(plan.Devices) > 0 {
		t.Errorf("%v", plan.Devices)
	}
	g.Profile.Devices = []string{"/dev/fuse", "/dev/null"}
	plan, spec := create(t, captured(t, "device.config"), g, situation())
	if d := cmp.Diff([]rewrite.Device{{Host: "/dev/fuse", Target: "/b/n0"}}, plan.Devices); d != "" {
		t.Error(d)
	}
	if r := spec.Linux.Resources.Devices; len(r) != 2 || *r[1].Major != 10 || *r[1].Minor != 229 || r[1].Access != "rw" {
		t.Errorf("%+v", r)
	}
	if plan, _ := create(t, captured(t, "plain.config"), g, situation()); len(plan.Devices) > 0 {
		t.Error("a device that was not asked for")
	}
	g.Profile.Devices = []string{"/dev/kvm"} // asked for under this name: /dev/zero
	if _, err := rewrite.Create(captured(t, "device.config"), g, situation()); !fault.Is(err, fault.Denied) {
		t.Errorf("another device under an allowed name: %v", err)
	}
	s := situation()
	s.Node = nil
	if _, err := rewrite.Create(captured(t, "device.config"), g, s); err == nil {
		t.Error("a device that nobody looked at")
	}
}

func TestUnknownMembersSurvive(t *testing.T) {
	config := edit(t, "plain.config", "newer", map[string]any{"a": 1.5})
	config = editRaw(t, config, "process.newer", []any{"x"})
	config = editRaw(t, config, "linux.newer", "<&>")
	plan, _ := create(t, config, grant(), situation())
	var got map[string]any
	if err := json.Unmarshal(plan.Config, &got); err != nil {
		t.Fatal(err)
	}
	for _, where := range []string{"newer", "process.newer", "linux.newer"} {
		var before any
		if err := json.Unmarshal(config, &before); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(lookup(before, where), lookup(got, where)); d != "" {
			t.Errorf("%s: %s", where, d)
		}
	}
}

func TestGrantsThatBoundNothingAreRefused(t *testing.T) {
	for name, change := range map[string]func(*protocol.Grant, *rewrite.Situation){
		"no memory":      func(g *protocol.Grant, _ *rewrite.Situation) { g.Profile.Memory = 0 },
		"no processors":  func(g *protocol.Grant, _ *rewrite.Situation) { g.Profile.CPUs = 0 },
		"no processes":   func(g *protocol.Grant, _ *rewrite.Situation) { g.Profile.PIDs = 0 },
		"host":           func(g *protocol.Grant, _ *rewrite.Situation) { g.Profile.Host = true },
		"host's IDs":     func(g *protocol.Grant, _ *rewrite.Situation) { g.IDs.Base = 0 },
		"few IDs":        func(g *protocol.Grant, _ *rewrite.Situation) { g.IDs.Size = 1 },
		"IDs past 2^31":  func(g *protocol.Grant, _ *rewrite.Situation) { g.IDs.Base = 0xffff0000 },
		"team is a path": func(g *protocol.Grant, _ *rewrite.Situation) { g.Team = "../x" },
		"no team":        func(g *protocol.Grant, _ *rewrite.Situation) { g.Team = "" },
		"ID is a path":   func(_ *protocol.Grant, s *rewrite.Situation) { s.ID = ".." },
		"ID is a unit":   func(_ *protocol.Grant, s *rewrite.Situation) { s.ID = "a:b" },
		"no place":       func(_ *protocol.Grant, s *rewrite.Situation) { s.Paths.Users = "" },
		"no filter":      func(_ *protocol.Grant, s *rewrite.Situation) { s.Arch = "vax" },
	} {
		g, s := grant(), situation()
		change(g, &s)
		if _, err := rewrite.Create(captured(t, "plain.config"), g, s); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := rewrite.Create(captured(t, "plain.config"), nil, situation()); err == nil {
		t.Error("no grant: taken")
	}
}
