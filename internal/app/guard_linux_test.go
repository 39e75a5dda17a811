package app_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"plimsoll/internal/app"
	"plimsoll/internal/engine"
	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
	"plimsoll/internal/seal/protocol"
)

const guardPolicy = `apiVersion: plimsoll/v1
kind: Policy
environments:
  here:
    local: allow
    rules: [{id: secrets, each: component, deny: component.kind == "secret"}]
host: {environment: here}
teams:
  payments:
    members: {users: [alice]}
    may: [run]
    profile: {cpus: 1, memory: 64MiB, pids: 10}
`

// guardHost is a guard in folders of its own.
type guardHost struct {
	*app.Guard
	t        *testing.T
	dir      string
	settings app.Settings
	config   app.GuardConfig
}

func newGuardHost(t *testing.T) *guardHost {
	t.Helper()
	dir, err := os.MkdirTemp("", "g") //nolint:usetesting // whose names are too long for sockets
	check(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	h := &guardHost{t: t, dir: dir}
	h.settings = app.Settings{Data: filepath.Join(dir, "data"), Policy: filepath.Join(dir, "policy.yaml"), IDs: filepath.Join(dir, "data", "ids.json")}
	h.config = app.GuardConfig{Run: filepath.Join(dir, "run"), Docker: filepath.Join(dir, "docker"), Warn: func(err error) { t.Log("warning:", err) }}
	h.rule(guardPolicy)
	return h
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (h *guardHost) rule(text string) {
	h.t.Helper()
	check(h.t, os.WriteFile(h.settings.Policy, []byte(text), 0o600))
}

// open opens the guard and lets it run.
func (h *guardHost) open() (stop func()) {
	h.t.Helper()
	var err error
	h.Guard, err = h.settings.Guard(h.t.Context(), h.config)
	check(h.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- h.Run(ctx) }()
	return func() {
		h.t.Helper()
		cancel()
		check(h.t, <-done)
		check(h.t, h.Close(context.Background()))
	}
}

var alice = engine.Caller{User: "alice", UID: 1000}

func TestGuardFollowsItsPolicy(t *testing.T) {
	h := newGuardHost(t)
	stop := h.open()
	defer func() { stop() }()
	if _, err := h.settings.Guard(t.Context(), h.config); !fault.Is(err, fault.Conflict) {
		t.Errorf("a second guard: %v", err)
	}
	admit := func() error {
		_, err := h.Admit(t.Context(), "payments", engine.ActionRun, alice)
		return err
	}
	if got := h.Teams(alice); len(got) != 1 || admit() != nil || h.Problem() != nil {
		t.Errorf("teams %q, %v, %v", got, admit(), h.Problem())
	}
	h.rule(strings.Replace(guardPolicy, "[alice]", "[bobby]", 1)) // of the same length
	if got := h.Teams(alice); len(got) != 0 || !fault.Is(admit(), fault.Denied) {
		t.Errorf("after the change: teams %q, %v", got, admit())
	}
	h.rule("apiVersion: plimsoll/v1\nkind: Policy\nhosts: {}\n")
	if err := admit(); err == nil || !fault.Is(h.Problem(), fault.Invalid) {
		t.Errorf("with a policy that cannot be read: %v, %v", err, h.Problem())
	}
	d, err := h.Judge(t.Context(), engine.Question{Image: "registry.example.com/a:1", Team: "payments", Action: engine.ActionRun, Caller: alice, Door: engine.Door})
	if err != nil || d.Allowed() {
		t.Errorf("an image without a policy: %+v, %v", d, err)
	}
	check(t, os.Remove(h.settings.Policy))
	if admit() == nil {
		t.Error("admitted without a policy")
	}
	h.rule(guardPolicy)
	check(t, admit())
	check(t, h.Claim(t.Context(), engine.KindVolume, "data", "payments"))
	stop()
	stop = h.open()
	if team, err := h.Owner(t.Context(), engine.KindVolume, "data"); err != nil || team != "payments" {
		t.Errorf("after a new start: %q, %v", team, err)
	}
}

// startDocker starts a Docker engine behind the guard, where it expects one.
func (h *guardHost) startDocker(flags ...string) *http.Client {
	h.t.Helper()
	needProgram(h.t, "dockerd")
	needProgram(h.t, "runc")
	if os.Getuid() != 0 {
		lack(h.t, "root")
	}
	socket := app.EngineSocket(h.config.Run)
	check(h.t, os.MkdirAll(filepath.Dir(socket), 0o700))
	log, err := os.Create(filepath.Join(h.dir, "log"))
	check(h.t, err)
	cmd := exec.Command("dockerd", append(flags, "--host", "unix://"+socket, "--data-root", h.config.Docker, "--exec-root", filepath.Join(h.dir, "x"),
		"--pidfile", filepath.Join(h.dir, "pid"), "--bridge", "none", "--iptables=false", "--ip6tables=false", "--config-file", filepath.Join(h.dir, "none.json"))...)
	check(h.t, os.WriteFile(filepath.Join(h.dir, "none.json"), []byte("{}"), 0o600))
	cmd.Stdout, cmd.Stderr = log, log
	check(h.t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	h.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
		_ = syscall.Unmount(filepath.Join(h.config.Docker), syscall.MNT_DETACH)
		_ = log.Close()
	})
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	for range 300 {
		if r, err := client.Get("http://docker/_ping"); err == nil {
			check(h.t, r.Body.Close())
			return client
		}
		select {
		case err := <-ended:
			b, _ := os.ReadFile(log.Name())
			ended <- err
			h.t.Fatalf("dockerd ended: %v\n%s", err, b)
		case <-time.After(100 * time.Millisecond):
		}
	}
	b, _ := os.ReadFile(log.Name())
	h.t.Fatalf("dockerd does not answer\n%s", b)
	return nil
}

func needProgram(t testing.TB, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		lack(t, name)
	}
}

func lack(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("needs %s, which this lane must have", what)
	}
	t.Skipf("needs %s", what)
}

// call posts to the engine and returns what it answers.
func (h *guardHost) call(c *http.Client, method, path, mediaType string, body io.Reader, v any) {
	h.t.Helper()
	q, err := http.NewRequestWithContext(h.t.Context(), method, "http://docker"+path, body)
	check(h.t, err)
	q.Header.Set("Content-Type", mediaType)
	r, err := c.Do(q)
	check(h.t, err)
	b, err := io.ReadAll(r.Body)
	check(h.t, err)
	check(h.t, r.Body.Close())
	if r.StatusCode >= 300 {
		h.t.Fatalf("%s %s: %s %s", method, path, r.Status, b)
	}
	if v != nil {
		check(h.t, json.Unmarshal(b, v))
	}
}

// tinyImage is a docker archive of one layer with one file.
func tinyImage(t *testing.T) (archive []byte, config ref.Digest) {
	t.Helper()
	pack := func(files ...[2]string) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, f := range files {
			check(t, w.WriteHeader(&tar.Header{Name: f[0], Mode: 0o755, Size: int64(len(f[1])), Typeflag: tar.TypeReg}))
			_, err := w.Write([]byte(f[1]))
			check(t, err)
		}
		check(t, w.Close())
		return b.Bytes()
	}
	layer := pack([2]string{"hello", "world"})
	text := fmt.Sprintf(`{"architecture":"amd64","os":"linux","config":{"Cmd":["/hello"]},"rootfs":{"type":"layers","diff_ids":[%q]}}`, digest.FromBytes(layer))
	hex := digest.FromString(text).Encoded()
	return pack([2]string{hex + ".json", text}, [2]string{"l/layer.tar", string(layer)},
		[2]string{"manifest.json", `[{"Config":"` + hex + `.json","RepoTags":["tiny:1"],"Layers":["l/layer.tar"]}]`}), digest.FromString(text)
}

// TestGuardOverAnEngine follows a container of a real engine from the request to
// its end: what the engine writes down is what the guard reads.
func TestGuardOverAnEngine(t *testing.T) {
	h := newGuardHost(t)
	docker := h.startDocker()
	stop := h.open()
	defer func() { stop() }()
	if folder, systemd, err := app.EngineState(t.Context(), app.EngineSocket(h.config.Run)); err != nil || folder != h.config.Docker || systemd {
		t.Errorf("the engine keeps its state in %q, %v, %v", folder, systemd, err)
	}
	archive, config := tinyImage(t)
	h.call(docker, http.MethodPost, "/images/load", "application/x-tar", bytes.NewReader(archive), nil)
	d, err := h.Judge(t.Context(), engine.Question{Image: "docker.io/library/tiny:1", Config: config, Team: "payments", Action: engine.ActionRun, Caller: alice, Door: engine.Door})
	check(t, err)
	if !d.Allowed() || d.Caller != "alice" {
		t.Fatalf("%+v", d)
	}
	var made struct{ ID string }
	h.call(docker, http.MethodPost, "/containers/create", "application/json", strings.NewReader(`{"Image":"tiny:1"}`), &made)
	ask := func(id string) (*protocol.Grant, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		return protocol.Ask(ctx, app.RuntimeSocket(h.config.Run), protocol.Question{Verb: protocol.Create, ID: id, State: "/run/docker/runtime-runc/moby"})
	}
	if g, err := ask(made.ID); !fault.Is(err, fault.Denied) {
		t.Errorf("a container that nobody told of: %+v, %v", g, err)
	}
	check(t, h.Created(t.Context(), engine.Container{ID: made.ID, Team: "payments", Caller: "alice", Decision: d.ID, Image: "docker.io/library/tiny:1", Config: config}))
	g, err := ask(made.ID)
	if err != nil || g.Team != "payments" || g.Own[0] != filepath.Join(h.config.Docker, "containers", made.ID) {
		t.Fatalf("%+v, %v", g, err)
	}
	stop()
	stop = h.open() // another guard, the same memory
	if again, err := ask(made.ID); err != nil || again.IDs != g.IDs {
		t.Errorf("%+v, %v", again, err)
	}
	check(t, h.Sweep(t.Context()))
	if c, err := h.Container(t.Context(), made.ID); err != nil || c.Profile == nil || c.Profile.Memory != 64<<20 {
		t.Errorf("%+v, %v", c, err)
	}
	h.call(docker, http.MethodDelete, "/containers/"+made.ID, "", nil, nil)
	if g, err := ask(made.ID); err == nil {
		t.Errorf("a container that the engine has removed: %+v", g)
	}
}
