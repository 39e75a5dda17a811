package seal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"plimsoll/internal/profile"
	"plimsoll/internal/seal"
	"plimsoll/internal/store"
)

const stageName = "seal-stage"

// TestMain makes this test its own stage.
func TestMain(m *testing.M) {
	if os.Args[0] == stageName {
		_ = seal.Stage(context.Background()) // the Runner was told
		os.Exit(1)
	}
	if os.Args[0] == seal.ThreadsName {
		seal.Threads()
	}
	if os.Args[0] == orphanName {
		fmt.Fprintln(os.Stderr, runOrphan())
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// needHost skips a test that runs containers where that cannot be done.
func needHost(t testing.TB) {
	t.Helper()
	lack := ""
	if os.Geteuid() != 0 {
		lack = "root"
	} else if _, err := exec.LookPath("runc"); err != nil {
		lack = "runc on PATH"
	}
	switch {
	case lack == "":
	case os.Getenv("CI") == "true":
		t.Fatalf("needs %s", lack)
	default:
		t.Skipf("needs %s", lack)
	}
}

var attacker = sync.OnceValues(func() ([]byte, error) {
	if file := os.Getenv("PLIMSOLL_ATTACKER"); file != "" { // where there is no compiler
		return os.ReadFile(file)
	}
	dir, err := os.MkdirTemp("", "attacker")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "attacker")
	cmd := exec.Command("go", "build", "-o", file, "./testdata/attacker")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(file)
})

// host is a host with an allocator of its own and an image of one program.
type host struct {
	data, layer string
	ids         *store.Ranges
	mu          sync.Mutex
	started     []seal.Started
	running     chan seal.Started
}

func newHost(t testing.TB) *host {
	t.Helper()
	needHost(t)
	program, err := attacker()
	if err != nil {
		t.Fatal(err)
	}
	h := &host{data: t.TempDir(), layer: t.TempDir(), running: make(chan seal.Started, 16)}
	h.ids = store.NewRanges(store.RangesConfig{File: filepath.Join(h.data, "ids.json")})
	if err := os.Chmod(h.data, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"tmp", "etc", "root", "proc", "sys", "dev"} {
		if err := os.Mkdir(filepath.Join(h.layer, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	files := map[string]string{
		"a": string(program), "plain": "no program", "etc/passwd": "root:x:0:0::/root:/a\nann:x:1000:100::/home/ann:/a\n",
		"etc/group": "users:x:100:\nwheel:x:10:ann\n",
	}
	for name, text := range files {
		mode := os.FileMode(0o644)
		if name == "a" {
			mode = 0o755
		}
		if err := os.WriteFile(filepath.Join(h.layer, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func (h *host) runner(t testing.TB) *seal.Runner {
	t.Helper()
	r, err := seal.NewRunner(seal.Config{
		Data: h.data, IDs: h.ids, Stage: []string{stageName},
		Started: func(s seal.Started) {
			h.mu.Lock()
			h.started = append(h.started, s)
			h.mu.Unlock()
			select {
			case h.running <- s:
			default: // nobody waits for so many
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// payments is the least profile that runs a program.
func payments() profile.Profile {
	return profile.Profile{
		CPUs: 1, Memory: 64 << 20, PIDs: 64, Runtime: "runc",
		Network: profile.Network{Mode: "none"},
		Total:   profile.Share{CPUs: 2, Memory: 256 << 20, PIDs: 128},
	}
}

func request(args ...string) seal.Request {
	return seal.Request{Team: "payments", Profile: payments(), Image: seal.Image{Entrypoint: []string{"/a"}}, Args: args}
}

type result struct {
	code     int
	out, err string
}

// run runs a container and checks that it left nothing behind.
func (h *host) run(t testing.TB, req seal.Request) (result, error) {
	t.Helper()
	var out, errs bytes.Buffer
	code, err := h.runner(t).Run(t.Context(), req, []string{h.layer}, seal.Streams{Out: &out, Err: &errs}, nil)
	if errs.Len() > 0 {
		t.Logf("standard error: %s", errs.String())
	}
	return result{code, out.String(), errs.String()}, err
}

// must runs a container whose program must start, and returns what it printed.
func (h *host) must(t testing.TB, req seal.Request) string {
	t.Helper()
	r, err := h.run(t, req)
	if err != nil {
		t.Fatalf("%v\n%s%s", err, r.out, r.err)
	}
	return r.out
}

// clean checks that nothing of any container is left on the host.
func (h *host) clean(t testing.TB) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(h.data, "containers", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("folders left: %v, %v", left, err)
	}
	ids, err := os.ReadFile(filepath.Join(h.data, "ids.json"))
	if err != nil || !strings.Contains(string(ids), `"containers": {}`) {
		t.Errorf("IDs left: %s, %v", ids, err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), h.data) || strings.Contains(string(mounts), "/run/plimsoll") {
		t.Errorf("mounts left: %s, %v", mounts, err)
	}
	for _, s := range h.started {
		groups, err := filepath.Glob("/sys/fs/cgroup/*" + s.Cgroup)
		if err != nil || len(groups) > 0 {
			t.Errorf("control groups left: %v, %v", groups, err)
		}
	}
	loops, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		t.Error(err)
	}
	for _, l := range loops {
		if b, err := os.ReadFile(l); err == nil && strings.Contains(string(b), h.data) {
			t.Errorf("loop device left: %s", b)
		}
	}
}

// abandon runs a container from a process that then dies of SIGKILL.
func (h *host) abandon(t *testing.T, req seal.Request) seal.Started {
	t.Helper()
	b, err := json.Marshal(orphan{h.data, h.layer, req})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Args = []string{orphanName}
	cmd.Stdin, cmd.Stderr = bytes.NewReader(b), os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var s seal.Started
	if err := json.NewDecoder(out).Decode(&s); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	h.started = append(h.started, s)
	return s
}

const orphanName = "seal-orphan"

// orphan is what a process that is going to be killed runs.
type orphan struct {
	Data, Layer string
	Request     seal.Request
}

func runOrphan() error {
	var o orphan
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		return err
	}
	r, err := seal.NewRunner(seal.Config{
		Data: o.Data, IDs: store.NewRanges(store.RangesConfig{File: filepath.Join(o.Data, "ids.json")}), Stage: []string{stageName},
		Started: func(s seal.Started) { _ = json.NewEncoder(os.Stdout).Encode(s) },
	})
	if err != nil {
		return err
	}
	_, err = r.Run(context.Background(), o.Request, []string{o.Layer}, seal.Streams{}, nil)
	return err
}

// alive reports whether a process runs; one that ended and was not waited for
// does not.
func alive(pid int) error {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err == nil && strings.Contains(string(b), ") Z ") {
		return os.ErrProcessDone
	}
	return err
}
