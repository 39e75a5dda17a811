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

	"plimsoll/internal/app"
	"plimsoll/internal/engine"
)

func TestMain(m *testing.M) {
	engine.Inside() // this program is the guard, and so its copying helper
	os.Exit(m.Run())
}

// served is a whole guard with an engine whose containers the runtime seals.
type served struct {
	*guardHost
	team   string
	remote string // where people with certificates come in
}

// certifyScript makes the certificates of an authority, of a server, and of two
// people, the one by another authority, in the folder $1.
const certifyScript = `set -e
cd "$1"
new="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1"
for who in ca other; do openssl req -x509 $new -subj "/CN=$who" -keyout $who.key -out $who.pem; done
echo 'subjectAltName=IP:127.0.0.1' >server.ext
for who in server alice mallory; do
	openssl req $new -subj "/O=Example/CN=$who" -keyout $who.key -out $who.csr
	ca=ca; [ $who != mallory ] || ca=other
	ext=; [ $who != server ] || ext="-extfile server.ext"
	openssl x509 -req -in $who.csr -CA $ca.pem -CAkey $ca.key -CAcreateserial -days 1 $ext -out $who.pem
done`

// certify makes certificates, and says where people who have one are served.
func (h *guardHost) certify() app.TLSConfig {
	h.t.Helper()
	if out, err := exec.CommandContext(h.t.Context(), "sh", "-c", certifyScript, "sh", h.dir).CombinedOutput(); err != nil {
		h.t.Fatalf("openssl: %v\n%s", err, out)
	}
	l, err := new(net.ListenConfig).Listen(h.t.Context(), "tcp", "127.0.0.1:0")
	check(h.t, err)
	defer l.Close()
	file := func(name string) string { return filepath.Join(h.dir, name) }
	return app.TLSConfig{Listen: l.Addr().String(), Cert: file("server.pem"), Key: file("server.key"), ClientCA: file("ca.pem")}
}

// serve builds the runtime, starts an engine that has no other, and serves the
// guard in front of it.
func serveGuard(t *testing.T) *served {
	t.Helper()
	for _, name := range []string{"go", "busybox", "docker", "openssl"} {
		needProgram(t, name)
	}
	h := newGuardHost(t)
	s := &served{guardHost: h, team: "copy-" + strings.ToLower(filepath.Base(h.dir))}
	h.rule(strings.NewReplacer("payments", s.team, "{users: [alice]}", `{users: [alice], certificates: ["CN=alice,O=Example"]}`, "may: [run]", "may: [run, exec, copy, build, logs]", "pids: 10}", "pids: 10, capabilities: {add: [CHOWN, FOWNER, DAC_OVERRIDE]}}").Replace(guardPolicy))
	program := filepath.Join(h.dir, "plimsoll-runtime")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "plimsoll/cmd/plimsoll-runtime")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	config, err := json.Marshal(map[string]string{"guard": app.RuntimeSocket(h.config.Run), "state": filepath.Join(h.config.Run, "containers")})
	check(t, err)
	check(t, os.WriteFile(program+".json", config, 0o600))
	h.startDocker("--add-runtime", "plimsoll="+program, "--default-runtime", "plimsoll")
	if _, err := app.ReadPolicy(h.settings.Policy); err != nil {
		t.Fatal(err)
	}
	c := app.ServeConfig{GuardConfig: h.config, Public: filepath.Join(h.dir, "docker.sock"), Group: "root", TLS: h.certify()}
	s.remote = "tcp://" + c.TLS.Listen
	ready := make(chan struct{})
	c.Ready = func(context.Context) error { close(ready); return nil }
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.settings.ServeGuard(ctx, c) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		for _, top := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
			groups, _ := filepath.Glob(top + "/plimsoll/" + s.team)
			for _, g := range groups {
				_ = syscall.Rmdir(g)
			}
		}
	})
	select {
	case <-ready:
	case err := <-done:
		done <- err
		t.Fatal(err)
	}
	return s
}

// docker runs the client on the team's socket.
func (s *served) docker(in io.Reader, args ...string) (string, error) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), "docker", append([]string{"-H", "unix://" + app.TeamSocket(s.config.Run, s.team)}, args...)...)
	cmd.Env, cmd.Stdin = append(os.Environ(), "DOCKER_CONFIG="+s.dir), in
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (s *served) must(args ...string) string {
	s.t.Helper()
	out, err := s.docker(nil, args...)
	if err != nil {
		s.t.Fatalf("docker %q: %v\n%s", args, err, out)
	}
	return out
}

// busybox is a root file system with busybox.
func busybox(t *testing.T) io.Reader {
	t.Helper()
	program, err := exec.LookPath("busybox")
	check(t, err)
	text, err := os.ReadFile(program)
	check(t, err)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	check(t, w.WriteHeader(&tar.Header{Name: "bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(text))}))
	_, err = w.Write(text)
	check(t, err)
	for _, name := range []string{"sh", "sleep", "stat", "cat", "chown", "ln", "rm", "mkdir", "chmod", "id"} {
		check(t, w.WriteHeader(&tar.Header{Name: "bin/" + name, Typeflag: tar.TypeSymlink, Linkname: "busybox"}))
	}
	check(t, w.Close())
	return &b
}

// TestGuardServesASealedHost goes the whole way, from a team's socket through the
// proxy, an engine and the runtime into a sealed container, and copies files in and
// out of it while it runs.
func TestGuardServesASealedHost(t *testing.T) {
	s := serveGuard(t)
	if out, err := s.docker(busybox(t), "import", "-", "box:1"); err != nil {
		t.Fatalf("import: %v\n%s", err, out)
	}
	id := s.must("run", "-d", "--init=false", "box:1", "sleep", "600")
	defer s.must("rm", "-f", id)
	inside := func(line string) string { t.Helper(); return s.must("exec", id, "sh", "-c", line) }
	pid := s.must("inspect", "-f", "{{.State.Pid}}", id)
	if m, err := os.ReadFile("/proc/" + pid + "/uid_map"); err != nil || strings.Fields(string(m))[1] == "0" {
		t.Fatalf("the container is not sealed: %q, %v", m, err)
	}
	secret := filepath.Join(s.dir, "secret")
	check(t, os.WriteFile(secret, []byte("the host's"), 0o600))
	inside("mkdir /d; echo one > /d/one; chown 1000:1001 /d/one; chmod 750 /d/one; ln -s " + secret + " /out; ln -s " + s.dir + " /outdir; ln -s /proc/1/root /magic")

	// Out: owners are the container's, not shifted.
	cmd := exec.CommandContext(t.Context(), "docker", "-H", "unix://"+app.TeamSocket(s.config.Run, s.team), "cp", id+":/d", "-")
	text, err := cmd.Output()
	check(t, err)
	owners := map[string]string{}
	for r := tar.NewReader(bytes.NewReader(text)); ; {
		h, err := r.Next()
		if err != nil {
			break
		}
		owners[h.Name] = fmt.Sprintf("%d:%d:%o", h.Uid, h.Gid, h.Mode)
	}
	if owners["d/one"] != "1000:1001:750" || !strings.HasPrefix(owners["d/"], "0:0:") {
		t.Errorf("copied out: %v", owners)
	}
	// In: the same, and what the running container sees at once.
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	check(t, w.WriteHeader(&tar.Header{Name: "in", Typeflag: tar.TypeReg, Mode: 0o4640, Uid: 7, Gid: 8}))
	check(t, w.Close())
	for _, to := range []string{":/d", ":/outdir", ":/magic" + s.dir, ":/magic/../../" + s.dir} {
		out, err := s.docker(bytes.NewReader(b.Bytes()), "cp", "-a", "-", id+to)
		if (err == nil) != (to == ":/d") {
			t.Errorf("copy in to %s: %v %s", to, err, out)
		}
	}
	if out := inside("stat -c %u:%g:%a /d/in"); out != "7:8:640" {
		t.Errorf("copied in: %s", out)
	}
	if _, err := os.Lstat(filepath.Join(s.dir, "in")); err == nil {
		t.Error("a file was copied onto the host")
	}
	for _, from := range []string{"/out", "/magic" + secret, "/outdir/secret"} {
		if out, err := s.docker(nil, "cp", "-L", id+":"+from, "-"); err == nil || strings.Contains(out, "the host's") {
			t.Errorf("copied out of the host by %s: %v %q", from, err, out)
		}
	}
	s.race(id, secret)
	s.stale(id)
	s.certificates(id)
	s.doors()
}

// race copies while a folder and a link to the host's change places.
func (s *served) race(id, secret string) {
	s.t.Helper()
	s.must("exec", "-d", id, "sh", "-c", "while :; do ln -s "+s.dir+" /a; rm -f /a; mkdir /a; echo fine > /a/secret; rm -rf /a; done")
	for range 20 {
		if out, _ := s.docker(nil, "cp", id+":/a/secret", "-"); strings.Contains(out, "the host's") {
			s.t.Fatalf("the race was won: %s was copied out", secret)
		}
	}
}

// stale shows that the engine's own mount of a sealed container's root remembers
// names that are gone, and that asking through the guard does not.
func (s *served) stale(id string) {
	t := s.t
	t.Helper()
	merged := s.must("inspect", "-f", "{{.GraphDriver.Data.MergedDir}}", id)
	s.must("exec", id, "sh", "-c", "mkdir /s; echo a > /s/a")
	there := func() bool {
		t.Helper()
		_, err := os.Lstat(filepath.Join(merged, "s", "b"))
		return err == nil
	}
	if there() { // from here on the engine's mount remembers that there is none
		t.Fatal("a file before it was made")
	}
	s.must("exec", id, "sh", "-c", "echo b > /s/b")
	if there() {
		t.Error("without the refresh the engine sees the new file: there is nothing to refresh, and this test shows nothing")
	}
	if out := s.must("diff", id); !strings.Contains(out, "A /s/b") {
		t.Errorf("diff through the guard: %s", out)
	}
	if !there() {
		t.Error("after the refresh the engine does not see the new file")
	}
}

// certificates has the stock client ask over TCP: the subject of its certificate
// is who asks, and nobody is heard whose certificate the authority did not sign.
func (s *served) certificates(id string) {
	t := s.t
	t.Helper()
	for who, want := range map[string]string{"alice": "", "server": "is in no team", "mallory": "tls: ", "nobody": "tls: "} {
		args := []string{"-H", s.remote, "--tlsverify", "--tlscacert", filepath.Join(s.dir, "ca.pem")}
		if who != "nobody" {
			args = append(args, "--tlscert", filepath.Join(s.dir, who+".pem"), "--tlskey", filepath.Join(s.dir, who+".key"))
		}
		cmd := exec.CommandContext(t.Context(), "docker", append(args, "ps", "-q", "--no-trunc")...)
		cmd.Env = append(os.Environ(), "DOCKER_CONFIG="+s.dir)
		out, err := cmd.CombinedOutput()
		if want == "" && (err != nil || strings.TrimSpace(string(out)) != id) || want != "" && (err == nil || !strings.Contains(string(out), want)) {
			t.Errorf("%s, over TCP: %v\n%s", who, err, out)
		}
	}
}

// doors looks at the sockets and their folders, and asks the engine round the
// guard.
func (s *served) doors() {
	t := s.t
	t.Helper()
	for path, want := range map[string]os.FileMode{
		s.config.Run: 0o711, filepath.Dir(app.EngineSocket(s.config.Run)): 0o700, app.EngineSocket(s.config.Run): 0o600,
		filepath.Dir(app.TeamSocket(s.config.Run, s.team)): 0o711, app.TeamSocket(s.config.Run, s.team): 0o666,
	} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	c := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.config.Run, "plugin", "authz.sock"))
	}}}
	r, err := c.Post("http://plugin/AuthZPlugin.AuthZReq", "application/json", strings.NewReader(`{"RequestMethod":"POST","RequestUri":"/v1.41/containers/create?name=roundabout"}`))
	check(t, err)
	answer, err := io.ReadAll(r.Body)
	check(t, err)
	check(t, r.Body.Close())
	log, err := filepath.Glob(filepath.Join(s.settings.Data, "*"))
	check(t, err)
	if found, err := exec.CommandContext(t.Context(), "grep", "-rlF", "name=roundabout", s.settings.Data).Output(); err != nil || len(found) == 0 || !strings.Contains(string(answer), `"Allow":false`) {
		t.Errorf("the plugin answers %s; the audit log says nothing of it (%v, %v)", answer, log, err)
	}
}
