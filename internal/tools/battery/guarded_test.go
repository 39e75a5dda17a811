//go:build linux

package main

import (
	"encoding/json"
	"strings"
	"testing"

	"plimsoll/internal/tools/engines"
	"plimsoll/internal/verdict"
)

// TestTeamsOnAGuardedHost has two teams, and somebody of none, on one host that
// everything is installed on: what names belong to whom is the proxy's to say.
func TestTeamsOnAGuardedHost(t *testing.T) {
	s := open(t, laboratory(t), guarded)
	alice, bob, mallory := box{t, s.as(0)}, box{t, s.as(1)}, box{t, s.as(3)}
	id := alice.detached("--name", "hers", "-v", "hers:/v", "-p", "18000:80", image, "sh", "-c", "echo secret >/v/f; exec attack serve hers")
	alice.Cleanup(func() { alice.Docker(alice.background(), "volume", "rm", "-f", "hers") })
	network := alice.docker("network", "create", "hersnet")
	alice.Cleanup(func() { alice.Docker(alice.background(), "network", "rm", "hersnet") })
	address := alice.docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", id)
	alice.soon("served to its own team", func() bool {
		return alice.Docker(t.Context(), "run", "--rm", image, "attack", "get", address+":80").Out == "hers"
	})

	for _, list := range [][]string{{"ps", "-a", "-q", "--no-trunc"}, {"volume", "ls", "-q"}, {"network", "ls", "-q", "--no-trunc"}, {"images", "-q", "--no-trunc"}, {"system", "df", "-v"}} {
		out := bob.docker(list...)
		for _, secret := range []string{id, id[:12], "hers", network} {
			if strings.Contains(out, secret) {
				t.Errorf("docker %s of another team shows %q:\n%s", strings.Join(list, " "), secret, out)
			}
		}
	}
	var refused []string
	for _, name := range []string{"hers", id, id[:12]} {
		for _, args := range [][]string{
			{"inspect", name},
			{"logs", name},
			{"top", name},
			{"stats", "--no-stream", name},
			{"exec", name, "cat", "/v/f"},
			{"cp", name + ":/v/f", "-"},
			{"diff", name},
			{"export", "-o", s.Host.Dir + "/stolen", name},
			{"commit", name, "stolen"},
			{"attach", name},
			{"pause", name},
			{"stop", name},
			{"kill", name},
			{"restart", name},
			{"update", "--cpus", "0.1", name},
			{"rename", name, "his"},
			{"rm", "-f", name},
			{"network", "connect", "hersnet", name},
			{"run", "--rm", "--net=container:" + name, image, "true"},
			{"run", "--rm", "--pid=container:" + name, image, "true"},
			{"run", "--rm", "--ipc=container:" + name, image, "true"},
			{"run", "--rm", "--volumes-from", name, image, "true"},
			{"run", "--rm", "--link", name, image, "true"},
		} {
			refused = append(refused, args[0])
			if r := bob.Docker(t.Context(), args...); r.Code == 0 && !strings.Contains(r.Err, "No such container") { // rm -f is content
				t.Errorf("bob: docker %s: %s%s", strings.Join(args, " "), r.Out, r.Err)
			}
		}
	}
	for _, args := range [][]string{
		{"run", "--rm", "-p", "18000:80", image, "true"},
		{"run", "--rm", "-p", "18001:80", image, "true"},
		{"run", "--rm", "--net", "hersnet", image, "true"},
		{"run", "--rm", "-v", "hers:/v", image, "cat", "/v/f"},
		{"volume", "inspect", "hers"},
		{"volume", "rm", "hers"},
		{"network", "inspect", "hersnet"},
		{"network", "rm", network},
		{"run", "--rm", "--label", "dev.plimsoll.team=" + s.teams[0], image, "true"},
		{"run", "--rm", image, "attack", "get", address + ":80"},
	} {
		refused = append(refused, args[0])
		if r := bob.Docker(t.Context(), args...); r.Code == 0 {
			t.Errorf("bob: docker %s: %s%s", strings.Join(args, " "), r.Out, r.Err)
		}
	}
	for _, args := range [][]string{{"ps"}, {"images"}, {"run", "--rm", image, "true"}, {"exec", id, "true"}, {"volume", "ls"}, {"pull", "localhost:1/x"}} {
		if r := mallory.Docker(t.Context(), args...); r.Code == 0 {
			t.Errorf("mallory: docker %s: %s%s", strings.Join(args, " "), r.Out, r.Err)
		}
	}
	alice.is("hers runs on", alice.sh(id, "cat /v/f"), "secret")
	t.Logf("%d of bob's requests were refused", len(refused))
	audited(t, s.chain)
}

// audited verifies the host's audit log, and looks in it for what the teams' people
// did and were refused.
func audited(t *testing.T, g *engines.Guarded) {
	t.Helper()
	if out, err := g.Host.Run(t.Context(), "plimsoll", "audit", "verify"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	out, err := g.Host.Run(t.Context(), "plimsoll", "audit", "log", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for d := json.NewDecoder(strings.NewReader(out)); d.More(); {
		var event struct{ Decision verdict.Decision }
		if err := d.Decode(&event); err != nil {
			t.Fatal(err)
		}
		seen[event.Decision.Caller+" "+string(event.Decision.Outcome)]++
	}
	if seen["alice allowed"] == 0 || seen["bob denied"] < 50 || seen["mallory denied"] < 6 {
		t.Errorf("in the log: %v", seen)
	}
	t.Log(seen)
}
