package shim_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll/internal/profile"
	"plimsoll/internal/seal/protocol"
)

// refused runs a container that must not start, and says why in want.
func (b *bundle) refused(want string, flags ...string) {
	b.Helper()
	out, err := b.run(flags...)
	if err == nil || !strings.Contains(out, want) || strings.Contains(out, "started\n") {
		b.Errorf("want a refusal with %q, got %v: %s", want, err, out)
	}
}

// TestRefused asks for what no grant has. Each leaves nothing behind.
func TestRefused(t *testing.T) {
	h := newHost(t)
	h.must(os.MkdirAll(filepath.Join(h.dir, "share"), 0o755))
	h.must(os.WriteFile(filepath.Join(h.dir, "file"), nil, 0o644))
	bind := func(b *bundle, source string, options ...string) {
		b.mount(map[string]any{"destination": "/m", "type": "bind", "source": source, "options": append([]string{"rbind"}, options...)})
	}
	none := func(*protocol.Grant) {}
	tests := []struct {
		name  string
		give  func(*protocol.Grant)
		spoil func(*bundle)
		flags []string
		want  string
	}{
		{name: "no-pivot", flags: []string{"--no-pivot"}, want: "--no-pivot"},
		{name: "descriptors", flags: []string{"--preserve-fds", "3"}, want: "--preserve-fds"},
		{name: "unknown flag", flags: []string{"--sealed=false"}, want: "not known"},
		{name: "host's network", spoil: func(b *bundle) {
			b.set([]any{map[string]any{"type": "pid"}, map[string]any{"type": "ipc"}, map[string]any{"type": "uts"}, map[string]any{"type": "mount"}}, "linux", "namespaces")
		}, want: "host's network namespace"},
		{name: "host's network by path", spoil: func(b *bundle) {
			b.set([]any{map[string]any{"type": "network", "path": fmt.Sprintf("/proc/%d/ns/net", os.Getpid())}, map[string]any{"type": "pid"}, map[string]any{"type": "ipc"}, map[string]any{"type": "uts"}, map[string]any{"type": "mount"}}, "linux", "namespaces")
		}, want: "host's network namespace"},
		{name: "no namespace by path", spoil: func(b *bundle) {
			b.set([]any{map[string]any{"type": "network", "path": "/etc/passwd"}}, "linux", "namespaces")
		}, want: "it is no namespace"},
		{name: "bind of what no profile has", spoil: func(b *bundle) { bind(b, filepath.Join(h.dir, "share")) }, want: "does not allow"},
		{name: "bind of all", spoil: func(b *bundle) { bind(b, "/") }, want: "no container may reach"},
		{name: "bind of the guard's socket", give: func(g *protocol.Grant) { g.Profile.Mounts = mountsOf(h.dir) }, spoil: func(b *bundle) { bind(b, filepath.Join(h.dir, "guard")) }, want: "neither a folder nor a plain file"},
		{name: "bind through /proc", give: func(g *protocol.Grant) { g.Profile.Mounts = mountsOf(h.dir) }, spoil: func(b *bundle) { bind(b, "/proc/self/root/etc") }, want: "cannot be opened"},
		{name: "bind of proc as an own file", give: func(g *protocol.Grant) { g.Own = []string{"/proc"} }, spoil: func(b *bundle) { bind(b, "/proc/sys") }, want: "belong to the kernel"},
		{name: "bind that is protected", give: func(g *protocol.Grant) {
			g.Profile.Mounts, g.Protected = mountsOf(h.dir), []string{filepath.Join(h.dir, "share")}
		}, spoil: func(b *bundle) { bind(b, filepath.Join(h.dir, "share")) }, want: "no container may reach"},
		{name: "writing to what may be read", give: func(g *protocol.Grant) { g.Profile.Mounts = []profile.Mount{{Path: h.dir + "/**"}} }, spoil: func(b *bundle) { bind(b, filepath.Join(h.dir, "share")) }, want: "read only"},
		{name: "storage", give: func(g *protocol.Grant) { g.Profile.Storage, g.Project = 1<<30, 7 }, want: "storage cannot be enforced"},
		{name: "storage without a project", give: func(g *protocol.Grant) { g.Profile.Storage = 1 << 30 }, want: "storage that cannot be counted"},
		{name: "total storage", give: func(g *protocol.Grant) { g.Profile.Total.Storage = 1 << 30 }, want: "storage that cannot be counted"},
		{name: "more than total storage", give: func(g *protocol.Grant) {
			g.Profile.Storage, g.Project, g.Profile.Total.Storage, g.TeamProject, g.Volumes = 16<<20, 4242, 32<<20, 4243, 64<<20
		}, want: "storage that cannot be counted"},
		{name: "egress that was not resolved", give: func(g *protocol.Grant) { g.Profile.Network.Egress = []string{"10.0.0.1:80"} }, want: "resolved none"},
		{name: "egress and raw packets", give: func(g *protocol.Grant) {
			g.Profile.Network.Egress, g.Egress, g.Profile.Capabilities = []string{"10.0.0.1:80"}, []string{"10.0.0.1:80"}, []string{"NET_RAW"}
		}, want: "gets round it"},
		{name: "host profile", give: func(g *protocol.Grant) { g.Profile.Host = true }, want: "host"},
		{name: "another runtime", give: func(g *protocol.Grant) { g.Profile.Runtime = "kata" }, want: "kata"},
		{name: "host's IDs", give: func(g *protocol.Grant) { g.IDs.Base = 0 }, want: "no slot"},
		{name: "no root", spoil: func(b *bundle) { b.set(filepath.Join(h.dir, "none"), "root", "path") }, want: "no such file"},
		{name: "root in proc", spoil: func(b *bundle) { b.set("/proc", "root", "path") }, want: "cannot map IDs"},
		{name: "a hook", spoil: func(b *bundle) {
			b.set([]any{map[string]any{"path": "/bin/true"}}, "hooks", "prestart")
		}, want: "hook"},
		{name: "a foreign file system", spoil: func(b *bundle) {
			b.mount(map[string]any{"destination": "/x", "type": "debugfs", "source": "debugfs"})
		}, want: "debugfs"},
	}
	mounts := h.mounts()
	for _, tt := range tests {
		give := tt.give
		if give == nil {
			give = none
		}
		h.give(give)
		b := h.container(h.image(), "echo started")
		if tt.spoil != nil {
			tt.spoil(b)
		}
		b.refused(tt.want, tt.flags...)
		h.clean(mounts)
		if t.Failed() {
			t.Fatalf("after %q", tt.name)
		}
	}
}

// TestRefusedCommandLines are calls that no container comes of.
func TestRefusedCommandLines(t *testing.T) {
	h := newHost(t)
	b := h.container(h.image(), "sleep 1000")
	b.start()
	for _, args := range [][]string{
		{"restore", "--bundle", b.dir, b.id},
		{"init"},
		{"import", b.id},
		{"exec", "--cap", "CAP_SYS_ADMIN", b.id, "true"},
		{"exec", "--apparmor", "unconfined", b.id, "true"},
		{"exec", "--process-label", "x", b.id, "true"},
		{"exec", "--cgroup", "..", b.id, "true"},
		{"exec", "--preserve-fds", "1", b.id, "true"},
		{"exec", "--process", "/nonexistent", b.id},
		{"exec", "none", "true"},
		{"exec", "../../x", "true"},
		{"update", "--memory", "1g", b.id},
		{"update", "--resources", "-", "none"},
		{"create", "--bundle", b.dir, "--config", "x", "other"},
		{"create", "--bundle", b.dir, "../other"},
		{"create", "--bundle", b.dir},
		{"create", "--bundle", b.dir, b.id}, // exists
		{"create", "--bundle"},
	} {
		out, err := h.call(args...)
		if err == nil || !strings.Contains(out, "plimsoll: ") {
			t.Errorf("%q: %v: %s", args, err, out)
		}
	}
	if out, err := h.call("state", b.id); err != nil || !strings.Contains(out, "running") {
		t.Errorf("the container does not run any more: %s", out)
	}
	for _, q := range h.asked(protocol.Deleted) {
		if q.ID == b.id {
			t.Error("the guard was told that a running container is gone")
		}
	}
}

// TestGuardIsNotThere starts nothing new without an answer; what runs goes on.
func TestGuardIsNotThere(t *testing.T) {
	h := newHost(t)
	b := h.container(h.image(), "sleep 1000")
	b.start()
	h.configure(map[string]any{"guard": "/nonexistent/guard", "state": h.state, "deadline": "1s", "runtimes": map[string]string{"runc": runc}})
	h.container(h.image(), "echo started").refused("ask the guard")
	if out, err := h.call("exec", b.id, "cat", "/proc/self/uid_map"); err != nil || strings.Contains(out, "4294967295") {
		t.Errorf("exec: %v: %s", err, out)
	}
	if out, err := h.call("delete", "--force", b.id); err != nil {
		t.Errorf("delete: %v: %s", err, out)
	}
	h.clean(nil)
}

// TestConfigurationOfOthers is not believed.
func TestConfigurationOfOthers(t *testing.T) {
	h := newHost(t)
	b := h.container(h.image(), "echo started")
	h.must(os.Chmod(h.bin+".json", 0o666))
	b.refused("others than root can change it")
	h.must(os.Chmod(h.bin+".json", 0o644))
	h.must(os.Chown(h.bin+".json", 1000, 0))
	b.refused("others than root can change it")
	h.must(os.Chown(h.bin+".json", 0, 0))
	h.configure(map[string]any{"guard": "guard", "state": h.state})
	b.refused("no clean absolute path")
	h.configure(map[string]any{"unsealed": true})
	b.refused("unknown field")
}
