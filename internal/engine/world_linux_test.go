package engine_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"plimsoll/internal/engine"
	"plimsoll/internal/fault"
	"plimsoll/internal/profile"
	"plimsoll/internal/ref"
	"plimsoll/internal/verdict"
)

// memory is a guard that keeps everything in memory and allows every image but
// those whose name holds "evil".
type memory struct {
	mu         sync.Mutex
	teams      []string
	profiles   map[string]profile.Profile
	mayNot     map[string]bool // "team action"
	containers map[string]engine.Container
	things     map[string]string
	records    []*verdict.Decision
	pulled     []engine.Pulled
	builds     int
	digest     func(image string) ref.Digest
}

var _ engine.Guard = (*memory)(nil)

func newMemory() *memory {
	p := profile.Profile{
		CPUs: 1, Memory: 256 << 20, PIDs: 128, Runtime: "runc",
		Network:      profile.Network{Mode: "bridge", Publish: []string{"18080-18090"}},
		Capabilities: []string{"CHOWN", "NET_BIND_SERVICE"},
	}
	return &memory{
		teams: []string{"alpha", "beta"}, profiles: map[string]profile.Profile{"alpha": p, "beta": p},
		mayNot: map[string]bool{}, containers: map[string]engine.Container{}, things: map[string]string{},
	}
}

func (m *memory) Teams(engine.Caller) []string { return m.teams }

func (m *memory) Admit(_ context.Context, team, action string, _ engine.Caller) (*profile.Profile, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mayNot[team+" "+action] {
		return nil, fault.Errorf(fault.Denied, "team %q may not %s", team, action)
	}
	p := m.profiles[team]
	return &p, nil
}

func (m *memory) Judge(_ context.Context, q engine.Question) (*verdict.Decision, error) {
	d := &verdict.Decision{ID: rand.Text(), Image: q.Image, Team: q.Team, Outcome: verdict.Allowed}
	if strings.Contains(q.Image, "evil") {
		d.Outcome = verdict.Denied
		d.Reasons = []verdict.Reason{{Rule: "signed", Outcome: verdict.Denied, Message: "nobody signed it"}}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.digest != nil && q.Config == "" {
		d.Digest = m.digest(q.Image)
	}
	m.records = append(m.records, d)
	return d, nil
}

// name has the guard judge by what digest says of an image.
func (m *memory) name(digest func(image string) ref.Digest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.digest = digest
}

// remembered returns what was pulled.
func (m *memory) remembered() []engine.Pulled {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.pulled)
}

func (m *memory) Pulled(_ context.Context, p engine.Pulled) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pulled = append(m.pulled, p)
	return nil
}

func (m *memory) Created(_ context.Context, c engine.Container) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.containers[c.ID] = c
	return nil
}

func (m *memory) Removed(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.containers, id)
	return nil
}

func (m *memory) Container(_ context.Context, id string) (engine.Container, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.containers[id]
	if !ok {
		return c, fault.Errorf(fault.NotFound, "no container %s", id)
	}
	return c, nil
}

func (m *memory) Claim(_ context.Context, kind, name, team string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if has, ok := m.things[kind+" "+name]; ok && has != team {
		return fault.Errorf(fault.Conflict, "%s %s is %s's", kind, name, has)
	}
	m.things[kind+" "+name] = team
	return nil
}

func (m *memory) Owner(_ context.Context, kind, name string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	team, ok := m.things[kind+" "+name]
	if !ok {
		return "", fault.Errorf(fault.NotFound, "no %s %s", kind, name)
	}
	return team, nil
}

func (m *memory) Disown(_ context.Context, kind, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.things, kind+" "+name)
	return nil
}

func (m *memory) Building(_ context.Context, b engine.Build) (string, func(), error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.builds++
	return fmt.Sprintf("/plimsoll/%s/build-%d", b.Team, m.builds), func() {}, nil
}

func (m *memory) Record(_ context.Context, d *verdict.Decision) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records = append(m.records, d)
	return nil
}

// recorded reports whether a decision with that outcome and text was recorded.
func (m *memory) recorded(outcome verdict.Outcome, text string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.records, func(d *verdict.Decision) bool {
		return d.Outcome == outcome && len(d.Reasons) > 0 && strings.Contains(d.Reasons[0].Message, text)
	})
}

// need ends the test where something is missing: skipped on a user's machine,
// failed where tests must run.
func need(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("missing: "+format, args...)
	}
	t.Skipf("missing: "+format, args...)
}

// dockerd is a throw-away engine.
type dockerd struct{ dir, socket string }

var (
	sharedEngine *dockerd
	stopEngine   func()
)

func TestMain(m *testing.M) {
	engine.Inside()
	if os.Getenv(asRuntime) != "" {
		inUserNamespace()
	}
	code := m.Run()
	if stopEngine != nil {
		stopEngine()
	}
	os.Exit(code)
}

// asRuntime makes this program a runtime that puts every container into a user
// namespace of its own, IDs unchanged, and goes on as runc.
const asRuntime = "PLIMSOLL_TEST_RUNTIME"

func inUserNamespace() {
	args := os.Args[1:]
	if i := slices.Index(args, "--bundle"); i > 0 && slices.Contains(args, "create") {
		file := filepath.Join(args[i+1], "config.json")
		data, err := os.ReadFile(file)
		if err != nil {
			panic(err)
		}
		var spec map[string]any
		if err := json.Unmarshal(data, &spec); err != nil {
			panic(err)
		}
		linux := spec["linux"].(map[string]any)
		linux["namespaces"] = append(linux["namespaces"].([]any), map[string]string{"type": "user"})
		same := []map[string]int{{"containerID": 0, "hostID": 0, "size": 65536}}
		linux["uidMappings"], linux["gidMappings"] = same, same
		delete(linux["sysctl"].(map[string]any), "net.ipv4.ping_group_range") // its upper end has no ID here
		if data, err = json.Marshal(spec); err != nil {
			panic(err)
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			panic(err)
		}
	}
	program, err := exec.LookPath("runc")
	if err != nil {
		panic(err)
	}
	panic(syscall.Exec(program, append([]string{"runc"}, args...), os.Environ()))
}

// anEngine returns the engine that all tests of the package share, with the image
// busybox in it.
func anEngine(t testing.TB) *dockerd {
	t.Helper()
	if sharedEngine == nil {
		sharedEngine, stopEngine = startEngine(t)
	}
	return sharedEngine
}

func startEngine(t testing.TB, flags ...string) (*dockerd, func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		need(t, "root")
	}
	for _, program := range []string{"dockerd", "containerd", "docker", "ip", "busybox"} {
		if _, err := exec.LookPath(program); err != nil {
			need(t, "%s", program)
		}
	}
	dir, err := os.MkdirTemp("/var/tmp", "ple") //nolint:usetesting // whose names are too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	d := &dockerd{dir: dir, socket: filepath.Join(dir, "docker.sock")}
	tag := filepath.Base(dir)[3:]
	bridge := "ple" + tag[:min(len(tag), 9)]
	subnet := 2 + os.Getpid()%200
	if len(flags) > 0 {
		subnet = 2 + (os.Getpid()+17)%200
	}
	run := func(name string, args ...string) {
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
	}
	run("ip", "link", "add", bridge, "type", "bridge")
	run("ip", "addr", "add", fmt.Sprintf("10.217.%d.1/24", subnet), "dev", bridge)
	run("ip", "link", "set", bridge, "up")
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	start := func(name string, args ...string) *exec.Cmd {
		c := exec.Command(name, args...)
		c.Stdout, c.Stderr = log, log
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return c
	}
	var started []*exec.Cmd
	ready := false
	stop := func() {
		// A bridge that an engine made stays when the engine ends.
		networks, _ := exec.Command("docker", "-H", "unix://"+d.socket, "network", "ls", "-q", "--filter", "type=custom").Output()
		for _, c := range slices.Backward(started) {
			_ = c.Process.Signal(os.Interrupt)
			done := make(chan struct{})
			go func() { _ = c.Wait(); close(done) }()
			select {
			case <-done:
			case <-time.After(20 * time.Second):
				_ = c.Process.Kill()
				<-done
			}
		}
		_ = exec.Command("sh", "-c", "awk -v d="+dir+"/ 'index($5,d)==1{print $5}' /proc/self/mountinfo | sort -r | xargs -r umount -l").Run()
		for _, made := range append([]string{bridge}, bridges(networks)...) {
			_ = exec.Command("ip", "link", "del", made).Run()
		}
		_ = os.RemoveAll(dir)
	}
	defer func() {
		if !ready {
			stop()
		}
	}()
	started = append(started, start("containerd", "--config", "/dev/null", "--root", dir+"/cr", "--state", dir+"/cs", "-a", dir+"/c.sock"))
	awaitSocket(t, dir+"/c.sock")
	args := append([]string{
		"--data-root", dir + "/data", "--exec-root", dir + "/exec", "-H", "unix://" + d.socket, "--pidfile", dir + "/pid",
		"--containerd", dir + "/c.sock", "-b", bridge, "--iptables=false", "--ip-masq=false", "--config-file", dir + "/none.json",
		// Of the engine's usual addresses a machine with other engines has none left.
		"--default-address-pool", "base=10.216.0.0/16,size=26",
	}, flags...)
	if err := os.WriteFile(dir+"/none.json", []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	started = append(started, start("dockerd", args...))
	awaitSocket(t, d.socket)
	d.importBusybox(t)
	ready = true
	return d, stop
}

// bridges returns the names that an engine gives to the bridges of networks, whose
// short IDs it listed.
func bridges(listed []byte) (names []string) {
	for id := range strings.FieldsSeq(string(listed)) {
		names = append(names, "br-"+id)
	}
	return names
}

func awaitSocket(t testing.TB, path string) {
	t.Helper()
	for range 600 {
		if c, err := net.Dial("unix", path); err == nil {
			_ = c.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s does not answer", path)
}

func (d *dockerd) importBusybox(t testing.TB) {
	t.Helper()
	c := exec.Command("docker", "-H", "unix://"+d.socket, "import", "-", "busybox")
	c.Stdin = bytes.NewReader(busyboxTar(t))
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("import: %v\n%s", err, out)
	}
}

func busyboxTar(t testing.TB) []byte {
	t.Helper()
	program, err := exec.LookPath("busybox")
	if err != nil {
		need(t, "busybox")
	}
	body, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	put := func(h tar.Header, body []byte) {
		h.Size = int64(len(body))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"bin/", "etc/", "proc/", "sys/", "dev/", "root/", "tmp/"} {
		put(tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o755}, nil)
	}
	put(tar.Header{Name: "bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755}, body)
	for _, a := range []string{"sh", "ls", "cat", "echo", "id", "sleep", "touch", "true", "false", "chown", "wc", "head", "ln", "rm", "mkdir", "nc", "stat", "seq", "dd", "chmod", "printf", "cp"} {
		put(tar.Header{Name: "bin/" + a, Typeflag: tar.TypeSymlink, Linkname: "busybox", Mode: 0o777}, nil)
	}
	put(tar.Header{Name: "etc/passwd", Typeflag: tar.TypeReg, Mode: 0o644}, []byte("root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/tmp:/bin/sh\n"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// harbour is a proxy in front of an engine, with a socket for each team.
type harbour struct {
	*dockerd
	guard  *memory
	dir    string
	nonces *engine.Nonces
}

func open(t testing.TB, d *dockerd, guard *memory) *harbour {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "plh") //nolint:usetesting // whose names are too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	h := &harbour{dockerd: d, guard: guard, dir: dir, nonces: engine.NewNonces()}
	logged := io.Discard
	if testing.Verbose() {
		logged = os.Stderr
	}
	p, err := engine.New(engine.Config{Engine: d.socket, Guard: guard, Nonces: h.nonces, Environment: "test", Log: slog.New(slog.NewTextHandler(logged, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, team := range append(slices.Clone(guard.teams), "") {
		l, err := net.Listen("unix", h.socketOf(team))
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			if err := p.Serve(ctx, l, team); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		stop()
		all.Wait()
		_ = os.RemoveAll(dir)
	})
	return h
}

func (h *harbour) socketOf(team string) string { return filepath.Join(h.dir, "s"+team) }

// docker runs the real client as a member of the team.
func (h *harbour) docker(t testing.TB, team string, args ...string) (string, error) {
	t.Helper()
	return h.dockerIn(t, team, nil, args...)
}

func (h *harbour) dockerIn(t testing.TB, team string, in io.Reader, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "docker", append([]string{"-H", "unix://" + h.socketOf(team)}, args...)...)
	c.Env = append(os.Environ(), "DOCKER_BUILDKIT=0", "DOCKER_CONFIG="+h.dir)
	c.Stdin = in
	out, err := c.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (h *harbour) must(t testing.TB, team string, args ...string) string {
	t.Helper()
	out, err := h.docker(t, team, args...)
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// send sends bytes as they are and returns status and body of the answer.
func (h *harbour) send(t testing.TB, team, method, uri, kind, body string) (int, string) {
	t.Helper()
	c, err := net.Dial("unix", h.socketOf(team))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n", method, uri)
	if kind != "" {
		head += "Content-Type: " + kind + "\r\n"
	}
	if body != "" || method == http.MethodPost {
		head += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	return h.raw(t, c, head+"\r\n"+body)
}

func (h *harbour) raw(t testing.TB, c net.Conn, text string) (int, string) {
	t.Helper()
	go func() { _, _ = io.WriteString(c, text) }()
	return answer(t, c)
}

func answer(t testing.TB, c net.Conn) (int, string) {
	t.Helper()
	data, err := io.ReadAll(c)
	if err != nil && len(data) == 0 {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(string(data), "\r\n\r\n")
	var status int
	if _, err := fmt.Sscanf(head, "HTTP/1.1 %d", &status); err != nil {
		t.Fatalf("answer %q: %v", data, err)
	}
	return status, body
}

func decode(t testing.TB, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
}

func run(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	return string(out), err
}
