//go:build linux

package engines_test

import (
	"bytes"
	"strings"
	"testing"

	"plimsoll/internal/tools/engines"
)

// policy lets two teams run what was made on the host itself.
const policy = `apiVersion: plimsoll/v1
kind: Policy
environments:
  host:
    local: allow
    builds: {from: allowed}
    rules:
      - {id: known-bad, each: component, deny: component.kind == "known-bad-executable", message: is known to be bad}
host: {environment: host}
teams:
  red:
    members: {users: [alice]}
    may: [run, exec, logs, build, copy]
    profile: {cpus: 1, memory: 256MiB, pids: 256, network: {mode: bridge, publish: ["18000-18099"]}}
  blue:
    members: {users: [bob]}
    may: [run, exec, logs, build, copy]
    profile: {cpus: 1, memory: 256MiB, pids: 256, network: {mode: bridge, publish: ["18100-18199"]}}
`

// guarded returns a host with everything installed, and the image box.
func guarded(t *testing.T) *engines.Guarded {
	t.Helper()
	h, err := engines.NewHost(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	g, err := engines.Install(t.Context(), h, "../../../bin/plimsoll", "../../../bin/plimsoll-runtime", policy)
	if err == nil {
		err = g.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	busybox, err := engines.Busybox(t.Context(), "../../../.cache", t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	var root bytes.Buffer
	if err := engines.Image(t.Context(), &root, busybox); err != nil {
		t.Fatal(err)
	}
	if r := g.As(t.Context(), "alice", &root, "import", "-", "box"); r.Code != 0 {
		t.Fatalf("import: %+v\n%s", r, h.Log("plimsoll"))
	}
	return g
}

func TestGuarded(t *testing.T) {
	needs(t)
	g := guarded(t)
	for _, network := range []string{"none", "bridge"} {
		r := g.As(t.Context(), "alice", nil, "run", "--rm", "--network", network, "box", "cat", "/proc/self/uid_map")
		if f := strings.Fields(r.Out); r.Code != 0 || len(f) != 3 || f[0] != "0" || f[1] == "0" || f[2] != "65536" {
			t.Errorf("%s: %+v\n%s", network, r, g.Host.Log("plimsoll"))
		}
	}
	for _, args := range [][]string{{"run", "--rm", "--privileged", "box", "true"}, {"run", "--rm", "--pid=host", "box", "true"}, {"run", "--rm", "-v", "/:/h", "box", "true"}} {
		if r := g.As(t.Context(), "alice", nil, args...); r.Code == 0 {
			t.Errorf("%v: was not refused", args)
		}
	}
	if r := g.As(t.Context(), "mallory", nil, "run", "--rm", "box", "true"); r.Code == 0 {
		t.Error("somebody of no team ran a container")
	}
}

// TestGuardGoesAndComes: what runs goes on without a guard, and nothing starts.
func TestGuardGoesAndComes(t *testing.T) {
	needs(t)
	g := guarded(t)
	if r := g.As(t.Context(), "alice", nil, "run", "-d", "--name", "on", "box", "sleep", "1000"); r.Code != 0 {
		t.Fatalf("%+v", r)
	}
	if r := g.As(t.Context(), "alice", nil, "create", "--name", "later", "box", "true"); r.Code != 0 {
		t.Fatalf("%+v", r)
	}
	for _, sig := range []string{"TERM", "KILL"} {
		if err := g.StopGuard(t.Context(), sig); err != nil {
			t.Fatal(err)
		}
		if r := g.As(t.Context(), "alice", nil, "start", "later"); r.Code == 0 {
			t.Errorf("%s: a container was started through nobody", sig)
		}
		if sig == "KILL" { // the engine asks its plugin for half a minute
			if r := g.Docker(t.Context(), "start", "later"); r.Code == 0 {
				t.Errorf("a container was started round the guard that is down")
			}
		}
		if err := g.StartGuard(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r := g.As(t.Context(), "alice", nil, "exec", "on", "echo", "here"); r.Out != "here\n" {
			t.Errorf("%s: what ran: %+v", sig, r)
		}
		if r := g.As(t.Context(), "bob", nil, "exec", "on", "true"); r.Code == 0 {
			t.Errorf("%s: another team's container was entered", sig)
		}
		if r := g.As(t.Context(), "alice", nil, "start", "-a", "later"); r.Code != 0 {
			t.Errorf("%s: nothing starts again: %+v", sig, r)
		}
	}
}
