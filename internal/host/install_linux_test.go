package host

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
)

const oddConfig = "{\n\t\"log-opts\": {\"max-size\": \"10m\"},   \"runtimes\": {\"kata\":{\"path\":\"/opt/kata\"}},\n \"exec-opts\":[\"native.cgroupdriver=systemd\"], \"authorization-plugins\":[\"other\"], \"big\": 12345678901234567890.10}\n\n"

// hosts are hosts that an installation must leave as they were.
func hosts() map[string]map[string]string {
	return map[string]map[string]string{
		"docker.io":        withSystemd(nil),
		"its own settings": withSystemd(map[string]string{DaemonJSON: oddConfig}),
		"no /etc/docker":   {"/etc/docker/key.json": "-"},
		"no systemd":       {DaemonJSON: oddConfig},
		"docker-ce": {
			"/usr/lib/systemd/system/docker.service": strings.ReplaceAll(debianService, "$DOCKER_OPTS", ""), "/usr/lib/systemd/system/docker.socket": dockerSocket,
			"/etc/systemd/system/docker.service.d/proxy.conf": "[Service]\nEnvironment=\"HTTPS_PROXY=http://192.0.2.1:3128\"\n",
		},
		"data of run":        withSystemd(map[string]string{"/var/lib/plimsoll/ids.json": "{}", "/etc/plimsoll/policy.yaml": "x"}),
		"an older runtime":   withSystemd(map[string]string{"/usr/local/bin/plimsoll-runtime": "older"}),
		"settings of ours":   withSystemd(map[string]string{runtimeJSON: `{"deadline":"20s"}`}),
		"a unit of no -H":    {"/lib/systemd/system/docker.service": "[Service]\nExecStart=/usr/sbin/dockerd\n"},
		"empty daemon.json":  withSystemd(map[string]string{DaemonJSON: ""}),
		"programs of root":   {"/src/": ""},
		"containers of ours": withSystemd(map[string]string{"/var/lib/docker/containers/a/hostconfig.json": `{"Runtime":"plimsoll"}`, "/var/lib/docker/containers/a/config.v2.json": `{"Name":"/web"}`}),
	}
}

func TestUninstallLeavesTheHostAsItWas(t *testing.T) {
	for name, files := range hosts() {
		t.Run(name, func(t *testing.T) {
			h := newTree(t, files)
			if h.exists(DaemonJSON) {
				must(t, os.Chmod(h.at(DaemonJSON), 0o640))
				must(t, os.Chown(h.at(DaemonJSON), 0, 42))
			}
			before := picture(t, h.Root)
			p := h.Plan(request(h))
			if diff := cmp.Diff(before, picture(t, h.Root)); diff != "" {
				t.Fatalf("planning changed something: %s", diff)
			}
			install(t, h)
			for _, c := range p.Changes {
				if now, err := h.look(c.Path); err != nil || !now.same(c.after()) {
					t.Errorf("%s is %+v, %v", c.Path, now, err)
				}
			}
			if again := h.Plan(request(h)); len(again.Obstacles) == 0 {
				t.Error("it would be installed twice")
			}
			r, err := h.Uninstall(t.Context(), true)
			must(t, err)
			if len(r.Left) > 0 {
				t.Errorf("left: %q", r.Left)
			}
			if diff := cmp.Diff(before, picture(t, h.Root)); diff != "" {
				t.Errorf("changed: %s", diff)
			}
			if _, err := h.Uninstall(t.Context(), false); !fault.Is(err, fault.NotFound) {
				t.Errorf("again: %v", err)
			}
		})
	}
}

// TestAnInstallationThatWasCutShort stops after each step, as a crash would.
func TestAnInstallationThatWasCutShort(t *testing.T) {
	for name, files := range hosts() {
		t.Run(name, func(t *testing.T) {
			h := newTree(t, files)
			before := picture(t, h.Root)
			for steps := 0; ; steps++ {
				p := h.Plan(request(h))
				j, err := h.prepare(p)
				must(t, err)
				for _, e := range j.Entries[:min(steps, len(j.Entries))] {
					i := slices.IndexFunc(p.Changes, func(c Change) bool { return c.Path == e.Path })
					var c *Change
					if i >= 0 {
						c = &p.Changes[i]
					}
					must(t, h.apply(e, c))
				}
				if o := h.Plan(request(h)).Obstacles; !slices.ContainsFunc(o, func(r Remark) bool { return strings.Contains(r.Text, "cut short") }) {
					t.Errorf("after %d steps: %+v", steps, o)
				}
				// Undoing is cut short as well, after as many steps.
				for i, e := range slices.Backward(j.Entries) {
					if len(j.Entries)-i > steps {
						break
					}
					_, err := h.undo(e)
					must(t, err)
				}
				r, err := h.Uninstall(t.Context(), false)
				must(t, err)
				if diff := cmp.Diff(before, picture(t, h.Root)); diff != "" || len(r.Left) > 0 {
					t.Fatalf("after %d steps: %q %s", steps, r.Left, diff)
				}
				if steps > len(j.Entries) {
					return
				}
			}
		})
	}
}

func TestAFailedChangeIsUndone(t *testing.T) {
	h := newTree(t, withSystemd(map[string]string{DaemonJSON: oddConfig}))
	before := picture(t, h.Root)
	p := h.Plan(request(h))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Install(ctx, p, false); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	// Somebody makes a folder where a link should go.
	p.Changes = append(p.Changes, Change{Path: "/etc/docker", kind: link, target: "/x"})
	if err := h.Install(t.Context(), p, false); err == nil {
		t.Error("a folder became a link")
	}
	if diff := cmp.Diff(before, picture(t, h.Root)); diff != "" {
		t.Errorf("changed: %s", diff)
	}
}

func TestWhatSomebodyEditedStays(t *testing.T) {
	h := newTree(t, withSystemd(map[string]string{DaemonJSON: `{"debug": true, "runtimes": {"kata": {"path": "/opt/kata"}}}`, "/usr/local/bin/plimsoll-runtime": "older"}))
	install(t, h)
	edit := func(path, old, new string) {
		t.Helper()
		b, err := os.ReadFile(h.at(path))
		must(t, err)
		if !strings.Contains(string(b), old) {
			t.Fatalf("%s: %s", path, b)
		}
		must(t, os.WriteFile(h.at(path), []byte(strings.ReplaceAll(string(b), old, new)), 0o644))
	}
	edit(DaemonJSON, `"debug": true`, `"debug": false, "dns": ["192.0.2.1"]`)
	edit(filepath.Join(units, guardUnit), "RestartSec=1", "RestartSec=5")
	must(t, os.WriteFile(h.at("/usr/local/bin/plimsoll"), []byte("newer"), 0o755))
	must(t, os.WriteFile(h.at("/etc/plimsoll/mine"), nil, 0o644))
	must(t, os.Remove(h.at("/usr/local/bin/plimsoll-runtime")))
	r, err := h.Uninstall(t.Context(), false)
	must(t, err)
	b, err := os.ReadFile(h.at(DaemonJSON))
	must(t, err)
	var got, want any
	must(t, json.Unmarshal(b, &got))
	must(t, json.Unmarshal([]byte(`{"debug": false, "dns": ["192.0.2.1"], "runtimes": {"kata": {"path": "/opt/kata"}}}`), &want))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s", diff)
	}
	for _, path := range []string{filepath.Join(units, guardUnit), "/usr/local/bin/plimsoll", specFile, journalFile} {
		if h.exists(path) {
			t.Errorf("%s is there", path)
		}
	}
	if !h.exists("/etc/plimsoll/mine") || !h.exists(filepath.Join(units, guardUnit)+".edited") {
		t.Error("an edit is lost")
	}
	if b, err := os.ReadFile(h.at("/usr/local/bin/plimsoll-runtime.before-plimsoll")); string(b) != "older" {
		t.Errorf("what was there is lost: %v", err)
	}
	if len(r.Left) != 4 {
		t.Errorf("left: %q", r.Left)
	}
}

// TestABrokenConfigurationIsNotTouched: somebody left no JSON behind.
func TestABrokenConfigurationIsNotTouched(t *testing.T) {
	h := newTree(t, withSystemd(nil))
	install(t, h)
	must(t, os.WriteFile(h.at(DaemonJSON), []byte(`{"debug": `), 0o644))
	for range 2 { // it may be tried again
		if _, err := h.Uninstall(t.Context(), false); !fault.Is(err, fault.Invalid) || fault.HintOf(err) == "" {
			t.Errorf("%v, hint %q", err, fault.HintOf(err))
		}
	}
	must(t, os.WriteFile(h.at(DaemonJSON), []byte(`{}`), 0o644))
	_, err := h.Uninstall(t.Context(), false)
	must(t, err)
}

func TestWhatIsNotUnderstoodIsNotTouched(t *testing.T) {
	opts := func(o string) map[string]string {
		return map[string]string{"/etc/default/docker": "DOCKER_OPTS=\"" + o + "\"\n"}
	}
	for name, tt := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no JSON":             {map[string]string{DaemonJSON: "{"}, "not JSON"},
		"a list":              {map[string]string{DaemonJSON: "[]"}, "not a JSON object"},
		"twice":               {map[string]string{DaemonJSON: `{"hosts":[],"hosts":["tcp://0.0.0.0:2375"]}`}, "twice"},
		"capitals":            {map[string]string{DaemonJSON: `{"Hosts":["tcp://0.0.0.0:2375"]}`}, "strange spelling"},
		"hosts":               {map[string]string{DaemonJSON: `{"hosts":["tcp://0.0.0.0:2375"]}`}, "listens on"},
		"remap":               {map[string]string{DaemonJSON: `{"userns-remap":"default"}`}, "userns-remap"},
		"another default":     {map[string]string{DaemonJSON: `{"default-runtime":"kata"}`}, "default runtime"},
		"ours already":        {map[string]string{DaemonJSON: `{"runtimes":{"plimsoll":{"path":"/x"}}}`}, "somebody else"},
		"swarm":               {map[string]string{"/var/lib/docker/swarm/docker-state.json": "{}"}, "swarm"},
		"swarm elsewhere":     {map[string]string{DaemonJSON: `{"data-root":"/srv/d"}`, "/srv/d/swarm/docker-state.json": "{}"}, "swarm"},
		"tcp":                 {opts("-H tcp://0.0.0.0:2375"), "tcp://0.0.0.0:2375"},
		"tcp, short":          {opts("-Htcp://0.0.0.0:2375"), "tcp://0.0.0.0:2375"},
		"tcp, long":           {opts("--host=tcp://0.0.0.0:2375"), "tcp://0.0.0.0:2375"},
		"remap by flag":       {opts("--userns-remap default"), "userns-remap"},
		"runtime by flag":     {opts("--default-runtime=crun"), "default-runtime"},
		"plugin by flag":      {opts("--authorization-plugin other"), "authorization-plugin"},
		"another file":        {opts("--config-file /x"), "config-file"},
		"drop-in":             {map[string]string{"/etc/systemd/system/docker.service.d/tcp.conf": "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H tcp://0.0.0.0:2375\n"}, "tcp://"},
		"socket drop-in":      {map[string]string{"/etc/systemd/system/docker.socket.d/tcp.conf": "[Socket]\nListenStream=2375\n"}, `listens on "2375"`},
		"socket masked":       {map[string]string{"/etc/systemd/system/docker.socket": ""}, "masked"},
		"no dockerd":          {map[string]string{"/usr/sbin/dockerd": "-"}, "no dockerd"},
		"no runc":             {map[string]string{"/usr/sbin/runc": "-"}, "no runc"},
		"ranges":              {map[string]string{"/etc/subuid": "alice:1879048192:65536\n"}, "overlap"},
		"unsealed":            {map[string]string{"/var/lib/docker/containers/a/hostconfig.json": `{"Runtime":"runc"}`, "/var/lib/docker/containers/a/config.v2.json": `{"Name":"/web","State":{"Running":true}}`}, "1 would go on to run unsealed (web)"},
		"unreadable":          {map[string]string{"/var/lib/docker/containers/a/hostconfig.json": `{`}, "hostconfig.json"},
		"journal of another":  {map[string]string{journalFile: `{"version":7}`}, "version 7"},
		"no runtime":          {map[string]string{"/src/plimsoll-runtime": "-"}, "plimsoll-runtime"},
		"a spec in the way":   {map[string]string{specFile + "/": ""}, "no file of its own"},
		"no binaries of root": {nil, "can be changed by others"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newTree(t, withSystemd(tt.files))
			if name == "no binaries of root" {
				must(t, os.MkdirAll(h.at(binaries), 0o755))
				must(t, os.Chmod(h.at(binaries), 0o777))
			}
			before := picture(t, h.Root)
			p := h.Plan(request(h))
			if !slices.ContainsFunc(p.Obstacles, func(r Remark) bool { return strings.Contains(r.Text, tt.want) }) {
				t.Errorf("obstacles: %+v", p.Obstacles)
			}
			if err := h.Install(t.Context(), p, true); !fault.Is(err, fault.Conflict) {
				t.Errorf("installed: %v", err)
			}
			if diff := cmp.Diff(before, picture(t, h.Root)); diff != "" {
				t.Errorf("changed: %s", diff)
			}
		})
	}
	t.Run("kernel", func(t *testing.T) {
		for release, want := range map[string]bool{"5.18.19": false, "5.19.0": true, "6.1.0-44": true, "4.19": false, "10.0": true, "": false, "x": false} {
			h := newTree(t, nil)
			h.Kernel = release
			if release == "" {
				continue // the running one's
			}
			if got := len(h.Plan(request(h)).Obstacles) == 0; got != want {
				t.Errorf("%q: %v", release, got)
			}
		}
	})
	t.Run("a link", func(t *testing.T) {
		h := newTree(t, withSystemd(nil))
		must(t, os.Symlink("/etc/docker/key.json", h.at(DaemonJSON)))
		if p := h.Plan(request(h)); len(p.Obstacles) == 0 {
			t.Error("a link would be replaced")
		}
	})
	t.Run("unsealed, accepted", func(t *testing.T) {
		h := newTree(t, map[string]string{"/var/lib/docker/containers/a/hostconfig.json": `{"Runtime":"runc"}`, "/var/lib/docker/containers/a/config.v2.json": `{}`})
		q := request(h)
		q.Unsealed = true
		if p := h.Plan(q); len(p.Obstacles) > 0 {
			t.Errorf("%+v", p.Obstacles)
		}
	})
}

func TestCommandsOfSystemd(t *testing.T) {
	h := newTree(t, withSystemd(nil))
	var ran []string
	h.Command = func(_ context.Context, program string, args ...string) error {
		ran = append(ran, strings.Join(append([]string{program}, args...), " "))
		return nil
	}
	install(t, h)
	_, err := h.Uninstall(t.Context(), true)
	must(t, err)
	want := []string{
		"systemctl stop docker.service docker.socket",
		"systemd-tmpfiles --create /etc/tmpfiles.d/plimsoll.conf",
		"systemctl daemon-reload",
		"systemctl start plimsoll-guard.service",
		"systemctl start docker.socket docker.service",
		"systemctl stop docker.service docker.socket plimsoll-guard.service",
		"systemctl daemon-reload",
		"systemctl start docker.socket docker.service",
	}
	if diff := cmp.Diff(want, ran); diff != "" {
		t.Error(diff)
	}
}
