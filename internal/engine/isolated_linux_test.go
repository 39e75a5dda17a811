package engine_test

import (
	"strings"
	"testing"

	"plimsoll/internal/tools/engines"
)

// TestTeamsDoNotReachEachOther runs containers of two teams on an engine that has
// its packet filters, on a host of its own.
func TestTeamsDoNotReachEachOther(t *testing.T) {
	if missing := engines.Missing("iptables"); len(missing) > 0 {
		need(t, "%v", missing)
	}
	host, err := engines.NewHost(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	e, err := engines.Start(t.Context(), host, engines.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Import(t.Context(), "busybox", busyboxTar(t)); err != nil {
		t.Fatal(err)
	}
	guard := newMemory()
	h := open(t, &dockerd{socket: e.Socket}, guard)
	const serve = "while :; do echo alive | nc -l -p 8000; done"
	address := func(ask func(...string) string, id string) string {
		return ask("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", id)
	}
	alpha := func(args ...string) string { t.Helper(); return h.must(t, "alpha", args...) }
	reach := func(ip string) []string {
		return []string{"busybox", "sh", "-c", "for i in 1 2 3; do nc -w 2 " + ip + " 8000 && break; done; echo ended"}
	}

	direct := h.direct(t) // without the proxy they do: the test can fail
	id := direct("run", "-d", "busybox", "sh", "-c", serve)
	if out := direct(append([]string{"run", "--rm"}, reach(address(direct, id))...)...); !strings.Contains(out, "alive") {
		t.Fatalf("on the engine's own bridge containers do not reach each other: %q", out)
	}
	ofEngine := address(direct, id)

	id = alpha("run", "-d", "--name", "service", "-p", "127.0.0.1:18080:8000", "busybox", "sh", "-c", serve)
	ip := address(alpha, id)
	for _, flags := range [][]string{{"--link", "service:service"}, nil, {"--network", "bridge"}, {"--network", "default"}} {
		args := append(append([]string{"run", "--rm"}, flags...), reach("service")...)
		if out := alpha(args...); !strings.Contains(out, "alive") {
			t.Errorf("with %q a team does not reach its own, by name: %q", flags, out)
		}
	}
	for _, at := range []string{ip, "service", ofEngine} {
		for _, flags := range [][]string{nil, {"--network", "bridge"}} {
			args := append(append([]string{"run", "--rm"}, flags...), reach(at)...)
			if out, err := h.docker(t, "beta", args...); err != nil || strings.Contains(out, "alive") || !strings.Contains(out, "ended") {
				t.Errorf("with %q another team at %s: %q, %v", flags, at, out, err)
			}
		}
	}
	if out, err := h.docker(t, "beta", "run", "--rm", "-p", "127.0.0.1:18080:8000", "busybox", "true"); err == nil || strings.Contains(out, id[:12]) || strings.Contains(out, "service") {
		t.Errorf("a port that another team has: %q, %v", out, err)
	}
	// A container's address is not another team's to take, nor is its name.
	if out, err := h.docker(t, "beta", "network", "connect", "--alias", "service", "plimsoll-alpha", "service"); err == nil {
		t.Errorf("joined another team's network: %q", out)
	}
	for _, args := range [][]string{{"network", "rm", "plimsoll-alpha"}, {"network", "create", "plimsoll-gamma"}, {"network", "create", "--subnet", "8.8.8.0/24", "stolen"}, {"network", "create", "abcdef123456"}} {
		if out, err := h.docker(t, "alpha", args...); err == nil {
			t.Errorf("docker %q: %q", args, out)
		}
	}
	for i := range 9 {
		out, err := h.docker(t, "beta", "network", "create", "net"+string(rune('a'+i)))
		if (err == nil) != (i < 8) {
			t.Errorf("network %d of a team: %q, %v", i+1, out, err)
		}
	}
	h.must(t, "beta", "network", "prune", "-f")
	alpha("rm", "-f", id)
	alpha("network", "prune", "-f")
	alpha("run", "--rm", "busybox", "true") // prune leaves the team's own
}

// TestNamesThatReadLikeIDs keeps a team from standing where another writes the
// short ID of its container.
func TestNamesThatReadLikeIDs(t *testing.T) {
	h := open(t, anEngine(t), newMemory())
	id := h.must(t, "beta", "run", "-d", "busybox", "sleep", "600")
	t.Cleanup(func() { _, _ = h.docker(t, "beta", "rm", "-f", id) })
	if out, err := h.docker(t, "alpha", "create", "--name", id[:12], "busybox", "true"); err == nil {
		t.Errorf("made: %q", out)
	}
	mine := h.must(t, "alpha", "create", "busybox", "true")
	t.Cleanup(func() { _, _ = h.docker(t, "alpha", "rm", "-f", mine) })
	if out, err := h.docker(t, "alpha", "rename", mine, id[:12]); err == nil {
		t.Errorf("renamed: %q", out)
	}
	if status, said := h.send(t, "alpha", "GET", "/v1.41/containers/"+mine+"/top?ps_args=-e%20-o%20uid%3DPID,args", "", ""); status != 403 {
		t.Errorf("a column that is called PID: %d %s", status, said)
	}
}

// TestImagesOfOthersStay removes images by names and IDs that are another team's
// as well.
func TestImagesOfOthersStay(t *testing.T) {
	h := open(t, anEngine(t), newMemory())
	id := h.must(t, "alpha", "create", "busybox", "true")
	image := h.must(t, "alpha", "commit", id, "ours:1")
	h.must(t, "alpha", "rm", id)
	saved := t.TempDir() + "/saved"
	h.must(t, "alpha", "save", "-o", saved, "ours:1")
	if _, err := h.docker(t, "beta", "load", "-i", saved); err == nil { // the name is alpha's
		t.Error("loaded another team's name")
	}
	h.must(t, "beta", "tag", image, "theirs:1")
	for _, args := range [][]string{{"rmi", "-f", image}, {"rmi", "-f", image[7:19]}} {
		if out, err := h.docker(t, "alpha", args...); err == nil {
			t.Errorf("docker %q: %q", args, out)
		}
	}
	h.must(t, "beta", "run", "--rm", "theirs:1", "true")
	h.must(t, "alpha", "rmi", "ours:1")
	h.must(t, "beta", "run", "--rm", "theirs:1", "true")
}
