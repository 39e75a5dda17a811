package engine

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
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
)

// lack skips a test that this machine cannot run; under CI it fails.
func lack(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("needs %s", what)
	}
	t.Skipf("needs %s", what)
}

// guarded is a real engine whose every request the plugin sees.
type guarded struct {
	t      *testing.T
	plugin *http.Server
	nonces *Nonces
	client *http.Client
	socket string
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	if os.Geteuid() != 0 {
		lack(t, "root")
	}
	dockerd, err := exec.LookPath("dockerd")
	if err != nil {
		lack(t, "dockerd")
	}
	dir, err := os.MkdirTemp("", "pz") //nolint:usetesting // whose names are too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	g := &guarded{t: t, nonces: NewNonces(), socket: filepath.Join(dir, "d")}

	l, err := ListenRoot(t.Context(), filepath.Join(dir, "plugin", "authz.sock"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: NewPlugin(g.nonces, nil), ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close(); <-served })
	g.plugin = server
	name := specify(t, filepath.Join(dir, "plugin", "authz.sock"))

	var log bytes.Buffer
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), dockerd, "--config-file="+filepath.Join(dir, "none"),
		"--data-root="+dir+"/data", "--exec-root="+dir+"/exec", "--pidfile="+dir+"/pid", "--host=unix://"+g.socket,
		"--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--storage-driver=vfs", "--authorization-plugin="+name)
	cmd.Args = append(cmd.Args[:1], cmd.Args[2:]...) // no configuration file at all
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		if t.Failed() {
			t.Logf("dockerd: %s", log.Bytes())
		}
	})
	g.client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", g.socket)
	}}}
	t.Cleanup(g.client.CloseIdleConnections)
	for {
		if c, err := new(net.Dialer).DialContext(t.Context(), "unix", g.socket); err == nil {
			_ = c.Close()
			return g
		}
		select {
		case <-ended:
			t.Fatalf("dockerd ended: %s", log.Bytes())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// specify makes the plugin at socket known to engines, which look in folders that
// cannot be moved, under a name that nobody else has.
func specify(t *testing.T, socket string) string {
	t.Helper()
	name := "plimsoll-test-" + strings.ToLower(rand.Text()[:12])
	var made []string
	for _, dir := range []string{"/etc/docker", "/etc/docker/plugins"} {
		if err := os.Mkdir(dir, 0o755); err == nil {
			made = append([]string{dir}, made...)
		}
	}
	spec := filepath.Join("/etc/docker/plugins", name+".spec")
	if err := os.WriteFile(spec, []byte("unix://"+socket), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = os.Remove(spec)
		for _, dir := range made {
			_ = os.Remove(dir) // unless somebody else put something there
		}
	})
	return name
}

// send sends a request, marked if nonce is not "", and returns the engine's answer.
func (g *guarded) send(method, uri, nonce string, body io.Reader, headers map[string]string) (int, string) {
	g.t.Helper()
	q, err := http.NewRequestWithContext(g.t.Context(), method, "http://docker/", body)
	if err != nil {
		g.t.Fatal(err)
	}
	q.URL.Opaque = uri // as it stands
	for name, value := range headers {
		q.Header.Set(name, value)
	}
	if nonce != "" {
		q.Header.Set(NonceHeader, nonce)
	}
	a, err := g.client.Transport.RoundTrip(q)
	if err != nil {
		g.t.Fatalf("%s %s: %v", method, uri, err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(io.LimitReader(a.Body, 1<<20))
	if err != nil {
		g.t.Fatalf("%s %s: %v", method, uri, err)
	}
	return a.StatusCode, string(b)
}

// marked sends what the proxy judged.
func (g *guarded) marked(method, uri string, body io.Reader, headers map[string]string) (int, string) {
	g.t.Helper()
	return g.send(method, uri, issue(g.t, g.nonces, method, uri), body, headers)
}

// raw sends text as it stands and returns the answer's status.
func (g *guarded) raw(text string) int {
	g.t.Helper()
	c, err := new(net.Dialer).DialContext(g.t.Context(), "unix", g.socket)
	if err != nil {
		g.t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		g.t.Fatal(err)
	}
	a, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		g.t.Fatal(err)
	}
	_ = a.Body.Close()
	return a.StatusCode
}

var asJSON = map[string]string{"Content-Type": "application/json"}

// image puts an image into the engine.
func (g *guarded) image(name string) {
	g.t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "bin/", Typeflag: tar.TypeDir, Mode: 0o755}); err != nil {
		g.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		g.t.Fatal(err)
	}
	if code, text := g.marked("POST", "/images/create?fromSrc=-&repo="+name, &b, nil); code != 200 {
		g.t.Fatalf("import: %d %s", code, text)
	}
}

// big is a body that plugins are not shown.
func big(text string) string { return text + strings.Repeat(" ", 1<<20) }

const privileged = `{"Image":"app","Cmd":["/x"],"HostConfig":{"Privileged":true}}`

// TestRoundTheProxy sends what is known to pass other plugins to the engine's own
// socket. The client has no nonce, or one that is not for this request.
func TestRoundTheProxy(t *testing.T) {
	g := newGuarded(t)
	g.image("app")
	spent := issue(g.t, g.nonces, "GET", "/v1.41/images/json")
	if code, text := g.send("GET", "/v1.41/images/json", spent, nil, nil); code != 200 {
		t.Fatalf("a judged request: %d %s", code, text)
	}
	another := func() string { return issue(t, g.nonces, "POST", "/v1.41/containers/create?name=one") }
	upgrade := map[string]string{"Content-Type": "application/json", "Upgrade": "tcp", "Connection": "Upgrade"}
	for _, tt := range []struct {
		name, method, uri, nonce, body string
		headers                        map[string]string
	}{
		{"privileged", "POST", "/v1.41/containers/create", "", privileged, asJSON},
		{"body over 1 MiB", "POST", "/v1.41/containers/create", "", big(privileged), asJSON},
		{"chunked", "POST", "/v1.41/containers/create", "", privileged, asJSON},
		{"chunked over 1 MiB", "POST", "/v1.41/containers/create", "", big(privileged), asJSON},
		{"spaces", "POST", "/v1.41/containers/create", "", `{"Image":"app","HostConfig":{"Privileged" : true}}`, asJSON},
		{"capitals", "POST", "/v1.41/containers/create", "", `{"Image":"app","hostconfig":{"privileged":  true}}`, asJSON},
		{"escapes", "POST", "/v1.41/containers/create", "", `{"Image":"app","HostConfig":{"\u0050rivileged":true}}`, asJSON},
		{"twice", "POST", "/v1.41/containers/create", "", `{"Image":"app","HostConfig":{"Privileged":false,"Privileged":true}}`, asJSON},
		{"no content type", "POST", "/v1.41/containers/create", "", privileged, nil},
		{"charset", "POST", "/v1.41/containers/create", "", privileged, map[string]string{"Content-Type": "application/json; charset=utf-8"}},
		{"no version", "POST", "/containers/create", "", privileged, asJSON},
		{"old version", "POST", "/v1.24/containers/create", "", privileged, asJSON},
		{"encoded path", "POST", "/v1.41/%63ontainers/create", "", privileged, asJSON},
		{"host in the URI", "POST", "http://docker/v1.41/containers/create", "", privileged, asJSON},
		{"invented nonce", "POST", "/v1.41/containers/create", "n4711", privileged, asJSON},
		{"another request's nonce", "POST", "/v1.41/containers/create?name=two", another(), privileged, asJSON},
		{"another method's nonce", "DELETE", "/v1.41/containers/create?name=one", another(), "", nil},
		{"another spelling's nonce", "POST", "/v1.41/%63ontainers/create?name=one", another(), privileged, asJSON},
		{"a spent nonce", "GET", "/v1.41/images/json", spent, "", nil},
		{"hijack", "POST", "/v1.41/containers/x/attach?stream=1", "", "", upgrade},
		{"exec", "POST", "/v1.41/exec/x/start", "", `{}`, upgrade},
		{"session", "POST", "/session", "", "", map[string]string{"Upgrade": "h2c", "Connection": "Upgrade"}},
		{"grpc", "POST", "/grpc", "", "", map[string]string{"Upgrade": "h2c", "Connection": "Upgrade"}},
		{"build context", "POST", "/v1.41/build?networkmode=host", "", "x", map[string]string{"Content-Type": "application/x-tar"}},
		{"load", "POST", "/v1.41/images/load", "", "x", map[string]string{"Content-Type": "application/x-tar"}},
		{"auth", "POST", "/v1.41/auth", "", `{}`, asJSON},
		{"a path that ends as auth", "DELETE", "/v1.41/volumes/auth", "", "", asJSON},
		{"archive", "GET", "/v1.41/containers/x/archive?path=/", "", "", nil},
		{"put archive", "PUT", "/v1.41/containers/x/archive?path=/", "", "x", nil},
		{"head archive", "HEAD", "/v1.41/containers/x/archive?path=/", "", "", nil},
		{"export", "GET", "/v1.41/containers/x/export", "", "", nil},
		{"logs", "GET", "/v1.41/containers/x/logs?stdout=1", "", "", nil},
		{"logs, encoded", "GET", "/v1.41/containers/x%2Flogs?stdout=1", "", "", nil},
		{"attach ws", "GET", "/v1.41/containers/x/attach/ws", "", "", nil},
		{"save", "GET", "/v1.41/images/app/get", "", "", nil},
		{"events", "GET", "/v1.41/events?until=0", "", "", nil},
		{"df", "GET", "/v1.41/system/df", "", "", nil},
		{"plugin", "POST", "/v1.41/plugins/pull?remote=x", "", `[]`, asJSON},
		{"swarm", "POST", "/v1.41/swarm/init", "", `{}`, asJSON},
		{"volume", "POST", "/v1.41/volumes/create", "", `{"Name":"etc","DriverOpts":{"type":"none","o":"bind","device":"/etc"}}`, asJSON},
		{"delete", "DELETE", "/v1.41/images/app?force=1", "", "", nil},
		{"prune", "POST", "/v1.41/containers/prune", "", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g.t = t
			var body io.Reader = strings.NewReader(tt.body)
			if strings.HasPrefix(tt.name, "chunked") {
				body = io.MultiReader(body) // its length is not known
			}
			code, text := g.send(tt.method, tt.uri, tt.nonce, body, tt.headers)
			if code != http.StatusForbidden || (tt.method != "HEAD" && !strings.Contains(text, "use the socket /run/docker.sock")) {
				t.Errorf("%d %s", code, text)
			}
		})
	}
	g.t = t
	// Paths that are not clean the engine redirects; what it redirects to, or does
	// not, was not judged either.
	for _, uri := range []string{"//v1.41/containers/create", "/v1.41/x/../containers/create", "/v1.41/./containers/create", "/../v1.41/containers/create"} {
		if code := g.raw("POST " + uri + " HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"); code != http.StatusMovedPermanently && code != http.StatusForbidden {
			t.Errorf("%s: %d", uri, code)
		}
	}
	if code, text := g.send("GET", "/v1.41/containers/json?all=1", "", nil, nil); code != 200 || strings.TrimSpace(text) != "[]" {
		t.Errorf("a container was made: %d %s", code, text)
	}
	// What was judged passes, though the plugin is not shown its body.
	code, text := g.marked("POST", "/v1.41/containers/create?name=one", strings.NewReader(big(`{"Image":"app","Cmd":["/x"]}`)), asJSON)
	if code != http.StatusCreated {
		t.Errorf("a judged request with a long body: %d %s", code, text)
	}
}

func TestHarmlessRoutesAreServed(t *testing.T) {
	g := newGuarded(t)
	g.image("registry.example.com/team/app:1")
	code, text := g.marked("POST", "/containers/create?name=one", strings.NewReader(`{"Image":"registry.example.com/team/app:1","Cmd":["/x"]}`), asJSON)
	if code != http.StatusCreated {
		t.Fatalf("create: %d %s", code, text)
	}
	if code, text := g.marked("POST", "/volumes/create", strings.NewReader(`{"Name":"data"}`), asJSON); code != http.StatusCreated {
		t.Fatalf("volume: %d %s", code, text)
	}
	for _, uri := range []string{
		"/_ping", "/version", "/v1.24/info", "/v1.41/info", "/containers/json?all=1", "/containers/one/json", "/v1.41/%63ontainers/json",
		"/images/json", "/v1.41/images/registry.example.com/team/app:1/json", "/networks", "/networks/none", "/volumes", "/volumes/data", "/plugins",
	} {
		if code, text := g.send("GET", uri, "", nil, nil); code != http.StatusOK {
			t.Errorf("%s: %d %s", uri, code, text)
		}
	}
	if code, _ := g.send("HEAD", "/_ping", "", nil, nil); code != http.StatusOK {
		t.Errorf("HEAD /_ping: %d", code)
	}
	// An answer that fails is an answer too.
	if code, text := g.marked("POST", "/containers/none/start", nil, nil); code != http.StatusNotFound {
		t.Errorf("an error of the engine: %d %s", code, text)
	}
}

// TestEngineWithoutPlugin: with the guard gone, nothing is served. (The engine
// asks again for half a minute before it gives up.)
func TestEngineWithoutPlugin(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	if code, text := g.send("GET", "/info", "", nil, nil); code != http.StatusOK {
		t.Fatalf("before: %d %s", code, text)
	}
	if err := g.plugin.Close(); err != nil {
		t.Fatal(err)
	}
	if code, text := g.send("GET", "/info", "", nil, nil); code < 400 {
		t.Fatalf("still served: %d %s", code, text)
	}
}

func TestListenRoot(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "plugin", "authz.sock")
	for range 2 { // the second replaces what a killed one left
		l, err := ListenRoot(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]os.FileMode{filepath.Dir(path): os.ModeDir | 0o700, path: os.ModeSocket | 0o600} {
			if info, err := os.Stat(name); err != nil || info.Mode() != want {
				t.Errorf("%s: %v, %v", name, info, err)
			}
		}
		got := make(chan error, 1)
		go func() {
			c, err := l.Accept()
			if err == nil {
				_, err = c.Write([]byte("hello"))
				_ = c.Close()
			}
			got <- err
		}()
		c, err := new(net.Dialer).DialContext(t.Context(), "unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(c); err != nil || string(b) != "hello" {
			t.Errorf("%q, %v", b, err)
		}
		_ = c.Close()
		if err := <-got; err != nil {
			t.Error(err)
		}
		t.Cleanup(func() { _ = l.Close() })
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := ListenRoot(t.Context(), file); err == nil {
		_ = l.Close()
		t.Error("a file was replaced")
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Dir(path), link); err != nil {
		t.Fatal(err)
	}
	if l, err := ListenRoot(t.Context(), filepath.Join(link, "s")); err == nil {
		_ = l.Close()
		t.Error("a linked folder was used")
	}
}

// TestOthersAreNotHeard connects as somebody who is not root to a socket whose
// folder was opened by mistake.
func TestOthersAreNotHeard(t *testing.T) {
	if os.Geteuid() != 0 {
		lack(t, "root")
	}
	dir, err := os.MkdirTemp("", "pz") //nolint:usetesting // whose names are too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "authz.sock")
	l, err := ListenRoot(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: NewPlugin(NewNonces(), nil), ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close(); <-served })
	for name, mode := range map[string]os.FileMode{dir: 0o755, path: 0o666} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	curl, err := exec.LookPath("curl")
	if err != nil {
		lack(t, "curl")
	}
	for uid, want := range map[uint32]bool{0: true, 65534: false} {
		cmd := exec.CommandContext(t.Context(), curl, "-sS", "-X", "POST", "--unix-socket", path, "http://plugin/Plugin.Activate")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, err := cmd.CombinedOutput()
		if heard := strings.Contains(string(out), "authz"); heard != want {
			t.Errorf("uid %d: %s, %v", uid, out, err)
		}
	}
}
