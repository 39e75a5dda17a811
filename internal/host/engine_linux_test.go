package host

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"plimsoll/internal/engine"
	"plimsoll/internal/fault"
)

// inTree starts a program as if the tree were the host: in a mount namespace of its
// own in which the tree's folders lie over the host's.
func inTree(t *testing.T, h Host, program string, args ...string) *exec.Cmd {
	t.Helper()
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		lack(t, "unshare")
	}
	var script strings.Builder
	script.WriteString("set -e\n")
	for _, dir := range []string{"/etc/docker", "/run", "/var/lib", "/usr/local/bin"} {
		if _, err := os.Stat(dir); err != nil {
			lack(t, dir)
		}
		must(t, os.MkdirAll(h.at(dir), 0o755))
		script.WriteString("mount --bind " + h.at(dir) + " " + dir + "\n")
	}
	script.WriteString(`exec "$@"`)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), unshare, append([]string{"-m", "--propagation", "private", "/bin/sh", "-c", script.String(), "sh", program}, args...)...)
	return cmd
}

// startEngine starts a real dockerd with the tree's configuration.
func startEngine(t *testing.T, h Host, socket string) (stop func()) {
	t.Helper()
	dockerd, err := exec.LookPath("dockerd")
	if err != nil {
		lack(t, "dockerd")
	}
	var log bytes.Buffer
	args := []string{"--pidfile=/run/engine.pid", "--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--storage-driver=vfs", "--exec-root=/run/docker"}
	if socket != EngineSocket {
		args = append(args, "--host=unix://"+socket)
	}
	cmd := inTree(t, h, dockerd, args...)
	cmd.Stdout, cmd.Stderr = &log, &log
	must(t, cmd.Start())
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			_ = cmd.Process.Signal(syscall.SIGTERM)
			<-ended
			_ = os.RemoveAll(h.at("/proc"))
		}
	}
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("dockerd: %s", log.Bytes())
		}
	})
	for {
		if code, _, err := h.ask(t.Context(), socket, "GET", "/_ping"); err == nil && code == http.StatusOK {
			break
		}
		select {
		case <-ended:
			t.Fatalf("dockerd ended: %s", log.Bytes())
		case <-time.After(50 * time.Millisecond):
		}
	}
	// Of all processes the tree has only this one.
	must(t, os.MkdirAll(h.at("/proc"), 0o755))
	must(t, os.Symlink("/proc/"+strconv.Itoa(cmd.Process.Pid), h.at("/proc/"+strconv.Itoa(cmd.Process.Pid))))
	must(t, os.Symlink("/proc/self", h.at("/proc/self")))
	return stop
}

func serve(t *testing.T, h Host, socket string, handler http.Handler) *http.Server {
	t.Helper()
	l, err := engine.ListenRoot(t.Context(), h.at(socket))
	must(t, err)
	s := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func states(checks []Check) map[string]string {
	all := map[string]string{}
	for _, c := range checks {
		all[c.Name] = c.State
	}
	return all
}

// TestInstalledEngine starts a real engine with what was installed, looks at it,
// breaks each link of the chain, and starts the engine again as it was before.
func TestInstalledEngine(t *testing.T) {
	h := newTree(t, map[string]string{"/etc/docker/key.json": "-", "/sys/fs/cgroup/cgroup.controllers": "cpu memory pids", DaemonJSON: `{"labels": ["kept=yes"]}`, "/etc/subuid": "plimsoll:1879048192:268304384\n", "/etc/subgid": "plimsoll:1879048192:268304384\n"})
	h.Kernel = ""
	for _, dir := range []string{"/usr/local/bin", "/var/lib", "/run"} {
		must(t, os.MkdirAll(h.at(dir), 0o755))
	}
	before := picture(t, h.Root)
	install(t, h)
	policy := func() (string, error) { return "a policy", nil }
	doctor := func() map[string]string { return states(h.Doctor(t.Context(), Questions{Policy: policy})) }
	if got := doctor(); got["engine"] != Bad || got["guard"] != Bad || got["ways in"] != Bad || got["installation"] != Good || got["configuration"] != Good {
		t.Errorf("nothing runs: %v", got)
	}
	must(t, os.MkdirAll(h.at("/run/plimsoll/engine"), 0o700))
	must(t, os.Chmod(h.at("/run/plimsoll/engine"), 0o700))
	plugin := serve(t, h, PluginSocket, engine.NewPlugin(engine.NewNonces(), nil))
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "OK") })
	serve(t, h, RuntimeSocket, ok)
	must(t, os.MkdirAll(h.at("/run"), 0o755))
	public := &httptest.Server{Config: &http.Server{Handler: ok, ReadHeaderTimeout: time.Minute}}
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", h.at(PublicSocket))
	must(t, err)
	public.Listener = l
	public.Start()
	t.Cleanup(public.Close)

	stop := startEngine(t, h, EngineSocket)
	must(t, os.Chmod(h.at(EngineSocket), 0o600)) // the unit's, or the guard's, to do
	all := h.Doctor(t.Context(), Questions{Policy: policy})
	got := states(all)
	for _, link := range []string{"cgroups", "user IDs", "policy", "installation", "configuration", "guard", "engine", "round the guard", "ways in", "containers"} {
		if got[link] != Good {
			t.Errorf("%s: %+v", link, all)
		}
	}
	if got["runtime"] != Bad || Healthy(all) {
		t.Error("a text is taken for the runtime")
	}
	code, b, err := h.ask(t.Context(), EngineSocket, "GET", "/info")
	if err != nil || code != 200 || !strings.Contains(string(b), "kept=yes") {
		t.Errorf("other settings are lost: %d %s %v", code, b, err)
	}

	// Each link, broken.
	for link, breaks := range map[string]func() (mend func()){
		"policy": func() func() {
			policy = func() (string, error) { return "", fault.Errorf(fault.NotFound, "none") }
			return func() { policy = func() (string, error) { return "", nil } }
		},
		"ways in": func() func() {
			must(t, os.Chmod(h.at(EngineSocket), 0o666))
			return func() { must(t, os.Chmod(h.at(EngineSocket), 0o600)) }
		},
		"guard": func() func() {
			must(t, os.Chmod(h.at(RuntimeSocket), 0o666))
			return func() { must(t, os.Chmod(h.at(RuntimeSocket), 0o600)) }
		},
		"configuration": func() func() {
			was, err := os.ReadFile(h.at(DaemonJSON))
			must(t, err)
			must(t, os.WriteFile(h.at(DaemonJSON), []byte("{}"), 0o644))
			return func() { must(t, os.WriteFile(h.at(DaemonJSON), was, 0o644)) }
		},
		"installation": func() func() {
			was, err := os.ReadFile(h.at(specFile))
			must(t, err)
			must(t, os.WriteFile(h.at(specFile), []byte("unix:///tmp/x"), 0o644))
			return func() { must(t, os.WriteFile(h.at(specFile), was, 0o644)) }
		},
		"containers": func() func() {
			dir := h.at("/var/lib/docker/containers/x")
			must(t, os.MkdirAll(dir, 0o700))
			must(t, os.WriteFile(filepath.Join(dir, "hostconfig.json"), []byte(`{"Runtime":"runc"}`), 0o600))
			return func() { must(t, os.RemoveAll(dir)) }
		},
		"user IDs": func() func() {
			must(t, os.WriteFile(h.at("/etc/subuid"), []byte("alice:1879048192:65536\n"), 0o644))
			return func() { must(t, os.WriteFile(h.at("/etc/subuid"), []byte("plimsoll:1879048192:268304384\n"), 0o644)) }
		},
	} {
		mend := breaks()
		if got := doctor(); got[link] != Bad {
			t.Errorf("%s is broken, and %q", link, got[link])
		}
		mend()
		if got := doctor(); got[link] != Good {
			t.Errorf("%s is mended, and %q", link, got[link])
		}
	}
	// With the plugin gone an unjudged request is not served, and that is said.
	must(t, plugin.Close())
	if got := doctor(); got["guard"] != Bad || got["engine"] != Bad {
		t.Errorf("without the plugin: %v", got)
	}
	stop()
	public.Close()
	_ = os.RemoveAll(h.at("/var/lib/docker"))
	_ = os.RemoveAll(h.at("/run"))
	must(t, os.Mkdir(h.at("/run"), 0o755))
	r, err := h.Uninstall(t.Context(), true)
	must(t, err)
	after := picture(t, h.Root)
	for _, all := range []map[string]string{before, after} {
		for path := range all { // subuid was written anew, the engine rewrote its key, and containerd left its folders
			if strings.HasPrefix(path, "/etc/subuid") || strings.HasPrefix(path, "/var/lib/containerd") || strings.HasPrefix(path, "/etc/docker/key.json") || strings.HasPrefix(path, "/var/lib/docker") {
				delete(all, path)
			}
		}
	}
	for path := range after {
		if before[path] != after[path] {
			t.Errorf("%s: %q, was %q", path, after[path], before[path])
		}
	}
	if len(r.Left) > 0 || len(before) != len(after) {
		t.Errorf("left: %q; %d paths, were %d", r.Left, len(after), len(before))
	}
	startEngine(t, h, "/run/plain.sock")
	if code, b, err := h.ask(t.Context(), "/run/plain.sock", "POST", "/containers/none/start"); err != nil || code != 404 {
		t.Errorf("the engine as it was: %d %s %v", code, b, err)
	}
}

// TestEngineKeepsARuntime shows why containers that are there are an obstacle: the
// engine writes down the default runtime of the day.
func TestEngineKeepsARuntime(t *testing.T) {
	h := newTree(t, map[string]string{"/etc/docker/key.json": "-"})
	stop := startEngine(t, h, "/run/plain.sock")
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", h.at("/run/plain.sock"))
	}}}
	defer client.CloseIdleConnections()
	post := func(uri, kind, body string) {
		t.Helper()
		q, err := http.NewRequestWithContext(t.Context(), "POST", "http://docker"+uri, strings.NewReader(body))
		must(t, err)
		q.Header.Set("Content-Type", kind)
		a, err := client.Do(q)
		must(t, err)
		defer a.Body.Close()
		if b, _ := io.ReadAll(a.Body); a.StatusCode >= 300 {
			t.Fatalf("%s: %d %s", uri, a.StatusCode, b)
		}
	}
	post("/images/create?fromSrc=-&repo=app", "application/x-tar", strings.Repeat("\x00", 1024))
	post("/containers/create?name=web", "application/json", `{"Image":"app","Cmd":["/x"]}`)
	stop()
	p := h.Plan(request(h))
	if len(p.Obstacles) != 1 || !strings.Contains(p.Obstacles[0].Text, "1 would go on to run unsealed (web)") {
		t.Errorf("%+v", p.Obstacles)
	}
}
