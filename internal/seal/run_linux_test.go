package seal_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll/internal/fault"
	"plimsoll/internal/profile"
	"plimsoll/internal/seal"
)

// background is a container that runs while the test goes on.
type background struct {
	seal.Started
	signals chan os.Signal
	done    chan struct{}
	out     bytes.Buffer
	code    int
	err     error
}

func (h *host) background(t testing.TB, req seal.Request) *background {
	t.Helper()
	b := &background{signals: make(chan os.Signal, 4), done: make(chan struct{})}
	r := h.runner(t)
	go func() {
		defer close(b.done)
		b.code, b.err = r.Run(context.WithoutCancel(t.Context()), req, []string{h.layer}, seal.Streams{Out: &b.out}, b.signals)
	}()
	select {
	case b.Started = <-h.running:
	case <-b.done:
		t.Fatalf("did not start: %v", b.err)
	case <-time.After(20 * time.Second):
		t.Fatal("did not start in 20 s")
	}
	return b
}

// end kills the container and waits for its end.
func (b *background) end(t testing.TB) {
	t.Helper()
	b.signals <- syscall.SIGKILL
	select {
	case <-b.done:
	case <-time.After(20 * time.Second):
		t.Fatal("did not end in 20 s")
	}
}

func TestContainerSeesItsOwnWorld(t *testing.T) {
	h := newHost(t)
	req := request("whoami", "--", "cat", "/proc/self/uid_map", "/proc/self/gid_map", "/proc/self/setgroups", "/etc/hosts", "--", "write", "/new", "--", "stat", "/new", "--", "stat", "/plain", "--", "reopen")
	req.Profile.Capabilities = []string{"CHOWN", "NET_BIND_SERVICE"}
	out := h.must(t, req)
	expect(t, out,
		"ids 0 0 0 [] in / on host true home /root", "CapEff:\t0000000000000401", "CapBnd:\t0000000000000401", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2",
		"/proc/self/uid_map: 0 1879048192      65536", "/proc/self/gid_map: 0 1879048192      65536", "/proc/self/setgroups: allow",
		"localhost", "/new 100644 0:0", "/plain 100644 0:0", "reopened")
	if _, err := os.Stat(filepath.Join(h.layer, "new")); err == nil {
		t.Error("the container wrote into the image's layer")
	}
	req = request("whoami", "--", "reopen")
	req.User, req.Workdir, req.Env = "ann", "/tmp/x", []string{"HOME=/elsewhere"}
	req.Profile.SetuidFiles = true
	expect(t, h.must(t, req), "ids 1000 1000 100 [10] in /tmp/x on host true home /elsewhere", "CapEff:\t0000000000000000", "NoNewPrivs:\t0", "reopened")
	h.clean(t)
}

func TestUpperLayersHideLower(t *testing.T) {
	h := newHost(t)
	upper := t.TempDir()
	if err := os.WriteFile(filepath.Join(upper, "plain"), []byte("upper"), 0o644); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	req := request("cat", "/plain")
	if code, err := h.runner(t).Run(t.Context(), req, []string{h.layer, upper}, seal.Streams{Out: &out}, nil); code != 0 || err != nil {
		t.Fatalf("exit %d, %v", code, err)
	}
	expect(t, out.String(), "/plain: upper")
}

func TestExitCodes(t *testing.T) {
	h := newHost(t)
	if r, err := h.run(t, request("exit", "42")); r.code != 42 || err != nil {
		t.Errorf("exit 42 became %d, %v", r.code, err)
	}
	tests := []struct {
		name string
		edit func(*seal.Request)
		want error
	}{
		{"no such file", func(r *seal.Request) { r.Image.Entrypoint = []string{"/none"} }, seal.ErrNoCommand},
		{"no such command", func(r *seal.Request) { r.Image.Entrypoint = []string{"none"} }, seal.ErrNoCommand},
		{"not executable", func(r *seal.Request) { r.Image.Entrypoint = []string{"/plain"} }, seal.ErrNotExecutable},
		{"a folder", func(r *seal.Request) { r.Image.Entrypoint = []string{"/etc"} }, seal.ErrNotExecutable},
	}
	for _, tt := range tests {
		req := request()
		tt.edit(&req)
		if r, err := h.run(t, req); !errors.Is(err, tt.want) {
			t.Errorf("%s: exit %d, %v; want %v", tt.name, r.code, err, tt.want)
		}
	}
	req := request("whoami")
	req.User = "nobody-knows"
	if _, err := h.run(t, req); !fault.Is(err, fault.NotFound) {
		t.Errorf("unknown user: %v", err)
	}
	h.clean(t)
}

func TestSignalsReachTheProgram(t *testing.T) {
	h := newHost(t)
	b := h.background(t, request("trap"))
	time.Sleep(200 * time.Millisecond)
	b.signals <- syscall.SIGTERM
	<-b.done
	if b.code != 7 || b.err != nil || !strings.Contains(b.out.String(), "got terminated") {
		t.Errorf("exit %d, %v: %s", b.code, b.err, b.out.String())
	}
	b = h.background(t, request("sleep"))
	b.end(t)
	if b.code != 128+9 || b.err != nil {
		t.Errorf("killed: exit %d, %v", b.code, b.err)
	}
	h.clean(t)
}

func TestCancelEndsTheContainer(t *testing.T) {
	h := newHost(t)
	r, err := seal.NewRunner(seal.Config{
		Data: h.data, IDs: h.ids, Stage: []string{stageName}, Grace: 100 * time.Millisecond,
		Started: func(s seal.Started) { h.running <- s },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-h.running
		time.Sleep(200 * time.Millisecond) // until it ignores SIGTERM
		cancel()
	}()
	code, err := r.Run(ctx, request("deaf"), []string{h.layer}, seal.Streams{}, nil)
	if code != 128+int(syscall.SIGKILL) || err != nil {
		t.Errorf("exit %d, %v", code, err)
	}
	cancel()
	if _, err := r.Run(ctx, request("sleep"), []string{h.layer}, seal.Streams{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("run after the end: %v", err)
	}
	h.clean(t)
}

func TestStandardInput(t *testing.T) {
	h := newHost(t)
	var out bytes.Buffer
	code, err := h.runner(t).Run(t.Context(), request("copy"), []string{h.layer}, seal.Streams{In: strings.NewReader("hello\n"), Out: &out}, nil)
	if diff := cmp.Diff("hello\ncopy: done\n", out.String()); diff != "" || code != 0 || err != nil {
		t.Errorf("exit %d, %v (-want +got):\n%s", code, err, diff)
	}
}

// TestSuccessorCollects kills a Runner as kill -9 does and lets the next one
// put away what it left.
func TestSuccessorCollects(t *testing.T) {
	h := newHost(t)
	b := h.abandon(t, request("sleep"))
	if err := syscall.Kill(b.PID, 0); err != nil {
		t.Fatalf("the container did not outlive its Runner: %v", err)
	}
	second := h.background(t, request("sleep"))
	if second.IDs != b.IDs {
		t.Errorf("the second container has %s; the dead one's %s were free", second.IDs, b.IDs)
	}
	if err := alive(b.PID); err == nil {
		t.Error("the abandoned container lives on beside one with its IDs")
	}
	second.end(t)
	h.clean(t)
}

func TestContainersDoNotShareIDs(t *testing.T) {
	h := newHost(t)
	a, b := h.background(t, request("sleep")), h.background(t, request("sleep"))
	if a.IDs.Overlaps(b.IDs) {
		t.Errorf("both have %s and %s", a.IDs, b.IDs)
	}
	a.end(t)
	b.end(t)
	h.clean(t)
}

func TestRefusals(t *testing.T) {
	h := newHost(t)
	tests := map[string]func(*seal.Request){
		"bridge":             func(r *seal.Request) { r.Profile.Network = profile.Network{Mode: "bridge"} },
		"devices":            func(r *seal.Request) { r.Profile.Devices = []string{"/dev/fuse"} },
		"host":               func(r *seal.Request) { r.Profile.Host = true },
		"unknown runtime":    func(r *seal.Request) { r.Profile.Runtime = "kata" },
		"path as runtime":    func(r *seal.Request) { r.Profile.Runtime = "/tmp/runc" },
		"unknown capability": func(r *seal.Request) { r.Profile.Capabilities = []string{"all"} },
	}
	for name, edit := range tests {
		req := request("whoami")
		edit(&req)
		if r, err := h.run(t, req); !fault.Is(err, fault.Denied) {
			t.Errorf("%s: exit %d, %v", name, r.code, err)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := h.run(t, request("whoami")); !fault.Is(err, fault.Unavailable) || fault.HintOf(err) != "apt-get install runc" {
		t.Errorf("without runc: %v, hint %q", err, fault.HintOf(err))
	}
}

// TestBehindCrun runs a container with the other runtime where there is one.
func TestBehindCrun(t *testing.T) {
	h := newHost(t)
	if _, err := exec.LookPath("crun"); err != nil && os.Getenv("CI") == "true" {
		t.Fatal("needs crun on PATH")
	} else if err != nil {
		t.Skip("needs crun on PATH")
	}
	req := request("whoami", "--", "cat", "/proc/self/uid_map", "--", "uring")
	req.Profile.Runtime = "crun"
	expect(t, h.must(t, req), "CapBnd:\t0000000000000000", "Seccomp:\t2", "/proc/self/uid_map: 0 1879048192      65536", "uring: stopped (operation not permitted)")
	req.Image.Entrypoint = []string{"none"}
	if _, err := h.run(t, req); !errors.Is(err, seal.ErrNoCommand) {
		t.Errorf("no such command: %v", err)
	}
	h.clean(t)
}

func BenchmarkSealedRun(b *testing.B) {
	h := newHost(b)
	req := request("exit", "0")
	var prepared time.Duration
	for b.Loop() {
		if r, err := h.run(b, req); err != nil || r.code != 0 {
			b.Fatal(r, err)
		}
		prepared += (<-h.running).Prepared
	}
	b.ReportMetric(float64(prepared.Microseconds())/1000/float64(b.N), "ms-before-runc/op")
}

func BenchmarkPlainRunc(b *testing.B) {
	h := newHost(b)
	for b.Loop() {
		plainRunc(b, h, "", "exit", "0")
	}
}

func TestARootThatCannotBeWritten(t *testing.T) {
	h := newHost(t)
	req := request("write", "/new", "--", "stat", "/plain")
	req.Profile.ReadOnly = true
	out := h.must(t, req)
	expect(t, out, "read-only file system", "/plain 100644 0:0")
	h.clean(t)
}
