//go:build linux

package engines_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

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

func TestGuarded(t *testing.T) {
	needs(t)
	h, err := engines.NewHost(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	h.Remove("/plimsoll/red")
	h.Remove("/plimsoll/blue")
	g, err := engines.Install(t.Context(), h, "../../../bin/plimsoll", "../../../bin/plimsoll-runtime", policy)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	busybox, err := engines.Busybox(t.Context(), "../../../.cache", t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	var root bytes.Buffer
	if err := errors.Join(engines.Image(t.Context(), &root, busybox)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"import", "-", "box"}, {"run", "--rm", "box", "cat", "/proc/self/uid_map"}, {"run", "--rm", "box", "true"}, {"run", "--rm", "--network", "none", "box", "true"}, {"ps", "-a"}, {"images"}} {
		began := time.Now()
		r := g.As(t.Context(), "alice", bytes.NewReader(root.Bytes()), args...)
		t.Logf("%s %v: %+v", time.Since(began), args, r)
		if r.Code != 0 {
			t.Errorf("%v failed\n%s\n%s", args, h.Log("plimsoll"), h.Log("dockerd"))
		}
	}
}
