package shim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
	"plimsoll/internal/idmap"
	"plimsoll/internal/profile"
	"plimsoll/internal/seal/protocol"
)

const (
	runc, crun = "/usr/sbin/runc", "/usr/bin/crun"
	// runtimeVariable names the runtime to be tested where there is no compiler.
	runtimeVariable = "PLIMSOLL_RUNTIME"
)

// need skips a test where something is missing, unless all of it must be there.
func need(t testing.TB, programs ...string) {
	t.Helper()
	lack := ""
	if os.Geteuid() != 0 {
		lack = "root"
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			lack = p
		}
	}
	switch {
	case lack == "":
	case os.Getenv("CI") == "true":
		t.Fatalf("needs %s", lack)
	default:
		t.Skipf("needs %s", lack)
	}
}

var program = sync.OnceValues(func() (string, error) {
	if file := os.Getenv(runtimeVariable); file != "" {
		return file, nil
	}
	dir, err := os.MkdirTemp("", "pr")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "plimsoll-runtime")
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", file, "plimsoll/cmd/plimsoll-runtime")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return file, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if file, err := program(); err == nil && os.Getenv(runtimeVariable) == "" {
		_ = os.RemoveAll(filepath.Dir(file))
	}
	os.Exit(code)
}

// host is a place with the runtime, a guard and a runtime's folder of state of
// its own.
type host struct {
	testing.TB
	dir, bin, state, root string
	flags                 []string // more of them, before the sub-command

	mu        sync.Mutex
	answer    func(q protocol.Question) protocol.Answer
	questions []protocol.Question
}

// team is one that no other process tests with.
var team = fmt.Sprintf("shim-%d-t", os.Getpid())

var slots struct {
	sync.Mutex
	next uint32
}

// slot returns IDs that no other test has.
func slot() idmap.Range {
	slots.Lock()
	defer slots.Unlock()
	slots.next++
	return idmap.Range{Base: 0x78000000 + slots.next*idmap.SlotSize, Size: idmap.SlotSize}
}

func plain() profile.Profile {
	return profile.Profile{
		CPUs: 1, Memory: 128 << 20, PIDs: 64, Runtime: "runc", SetuidFiles: true, Network: profile.Network{Mode: "bridge"},
		Capabilities: []string{"CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"},
		Total:        profile.Share{Memory: 512 << 20, PIDs: 256},
	}
}

func grant() protocol.Grant {
	return protocol.Grant{Team: team, Decision: "d1", Profile: plain(), IDs: slot(), Disk: idmap.Range{Base: 0x7f000000, Size: idmap.SlotSize}}
}

func newHost(t testing.TB) *host {
	t.Helper()
	need(t, "runc", "busybox")
	if os.Getenv(runtimeVariable) == "" {
		need(t, "go")
	}
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "ps") //nolint:usetesting // a short path: sockets lie in it
	if err != nil {
		t.Fatal(err)
	}
	h := &host{TB: t, dir: dir, bin: filepath.Join(dir, "plimsoll-runtime"), state: filepath.Join(dir, "grants"), root: filepath.Join(dir, "state")}
	t.Cleanup(func() { h.cleanUp() })
	b, err := os.ReadFile(bin)
	h.must(err)
	h.must(os.Chmod(dir, 0o711))
	h.must(os.WriteFile(h.bin, b, 0o755))
	h.must(os.Mkdir(h.root, 0o711))
	h.configure(map[string]any{"guard": filepath.Join(dir, "guard"), "state": h.state, "deadline": "5s", "runtimes": map[string]string{"runc": runc, "crun": crun}})
	h.answer = func(protocol.Question) protocol.Answer {
		g := grant()
		return protocol.Answer{Version: 1, Grant: &g}
	}
	h.listen()
	return h
}

func (h *host) configure(c map[string]any) {
	h.Helper()
	b, err := json.Marshal(c)
	h.must(err)
	h.must(os.WriteFile(h.bin+".json", b, 0o644))
}

func (h *host) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// listen starts the guard, which answers with h.answer.
func (h *host) listen() {
	l, err := (&net.ListenConfig{}).Listen(h.Context(), "unix", filepath.Join(h.dir, "guard"))
	h.must(err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.serve(c)
			_ = c.Close()
		}
	}()
	h.Cleanup(func() {
		_ = l.Close()
		<-done
	})
}

func (h *host) serve(c net.Conn) {
	var q protocol.Question
	if err := protocol.Read(c, &q); err != nil {
		return // a call that was killed
	}
	h.mu.Lock()
	h.questions = append(h.questions, q)
	answer := protocol.Answer{Version: 1}
	if q.Verb != protocol.Deleted {
		answer = h.answer(q)
	}
	h.mu.Unlock()
	_ = protocol.Write(c, answer)
}

func (h *host) asked(verb protocol.Verb) (all []protocol.Question) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, q := range h.questions {
		if q.Verb == verb {
			all = append(all, q)
		}
	}
	return all
}

// give has the guard answer with a plain grant that change has changed.
func (h *host) give(change func(*protocol.Grant)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = func(protocol.Question) protocol.Answer {
		g := grant()
		change(&g)
		return protocol.Answer{Version: 1, Grant: &g}
	}
}

func (h *host) refuse(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = func(protocol.Question) protocol.Answer { return protocol.Refuse(err) }
}

// call runs the runtime as an engine does.
func (h *host) call(args ...string) (string, error) {
	return h.callIn(nil, args...)
}

func (h *host) callIn(stdin []byte, args ...string) (string, error) {
	cmd := exec.CommandContext(context.WithoutCancel(h.Context()), h.bin, slices.Concat([]string{"--root", h.root, "--log", h.log(), "--log-format", "json"}, h.flags, args)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Stdin = &out, &out, bytes.NewReader(stdin)
	err := cmd.Run()
	return out.String(), err
}

func (h *host) log() string { return filepath.Join(h.dir, "log.json") }

// image returns a folder with busybox.
func (h *host) image() string {
	h.Helper()
	dir := filepath.Join(h.dir, "image")
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	for _, name := range []string{"bin", "etc", "proc", "sys", "dev", "tmp", "root"} {
		h.must(os.MkdirAll(filepath.Join(dir, name), 0o755))
	}
	b, err := os.ReadFile(busybox(h))
	h.must(err)
	h.must(os.WriteFile(filepath.Join(dir, "bin/busybox"), b, 0o755))
	for _, name := range []string{"sh", "cat", "id", "touch", "sleep", "ls", "grep", "mkdir", "chmod", "chown", "stat", "true", "ulimit", "mount", "ps", "kill", "dd", "wc", "echo", "hostname", "rm", "mknod", "df", "od"} {
		h.must(os.Symlink("busybox", filepath.Join(dir, "bin", name)))
	}
	h.must(os.WriteFile(filepath.Join(dir, "etc/passwd"), []byte("root:x:0:0::/root:/bin/sh\n"), 0o644))
	return dir
}

func busybox(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// bundle is one container that is asked for.
type bundle struct {
	*host
	dir, id string
	spec    map[string]any
}

var ids struct {
	sync.Mutex
	n int
}

// container returns a container that runs a script in sh, from a copy of the
// image, or whatever the root is.
func (h *host) container(root string, script string) *bundle {
	h.Helper()
	ids.Lock()
	ids.n++
	b := &bundle{host: h, id: fmt.Sprintf("t%d-%d", os.Getpid(), ids.n)}
	ids.Unlock()
	b.dir = filepath.Join(h.dir, b.id)
	h.must(os.Mkdir(b.dir, 0o711))
	h.must(exec.CommandContext(h.Context(), runc, "spec", "--bundle", b.dir).Run())
	text, err := os.ReadFile(filepath.Join(b.dir, "config.json"))
	h.must(err)
	h.must(json.Unmarshal(text, &b.spec))
	b.set(root, "root", "path")
	b.set(false, "root", "readonly")
	b.set(false, "process", "terminal")
	b.set([]string{"/bin/sh", "-c", script}, "process", "args")
	h.Cleanup(func() { _, _ = h.call("delete", "--force", b.id) })
	return b
}

// set sets a member of the spec.
func (b *bundle) set(value any, path ...string) {
	at := b.spec
	for _, name := range path[:len(path)-1] {
		next, ok := at[name].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[name] = next
		}
		at = next
	}
	at[path[len(path)-1]] = value
}

func (b *bundle) mount(m map[string]any) {
	b.spec["mounts"] = append(b.spec["mounts"].([]any), m)
}

func (b *bundle) write() {
	b.Helper()
	text, err := json.Marshal(b.spec)
	b.must(err)
	b.must(os.WriteFile(filepath.Join(b.dir, "config.json"), text, 0o644))
}

// run runs the container to its end.
func (b *bundle) run(flags ...string) (string, error) {
	b.Helper()
	b.write()
	return b.call(slices.Concat([]string{"run", "--bundle", b.dir}, flags, []string{b.id})...)
}

// start makes the container and starts it.
func (b *bundle) start() {
	b.Helper()
	b.write()
	cmd := exec.CommandContext(b.Context(), b.bin, slices.Concat([]string{"--root", b.root, "--log=" + b.log(), "--log-format=json"}, b.flags,
		[]string{"create", "--bundle", b.dir, "--pid-file", filepath.Join(b.dir, "pid"), b.id})...)
	out, err := os.Create(filepath.Join(b.dir, "out"))
	b.must(err)
	cmd.Stdout, cmd.Stderr = out, out
	err = errors.Join(cmd.Run(), out.Close())
	if err != nil {
		text, _ := os.ReadFile(out.Name())
		b.Fatalf("create: %v: %s", err, text)
	}
	if text, err := b.call("start", b.id); err != nil {
		b.Fatalf("start: %v: %s", err, text)
	}
}

// overlay mounts one over the image at a folder, as Docker does, and returns the
// mount point and the writable folder.
func (h *host) overlay(name string, layers int, options string) (merged, upper string) {
	h.Helper()
	store := filepath.Join(h.dir, "overlay2")
	h.must(os.MkdirAll(filepath.Join(store, "l"), 0o700))
	var lowers []string
	for i := range layers {
		id := fmt.Sprintf("%s-layer%d", name, i)
		diff := filepath.Join(store, id, "diff")
		h.must(os.MkdirAll(diff, 0o755))
		h.must(os.WriteFile(filepath.Join(diff, fmt.Sprintf("layer%d", i)), nil, 0o644))
		h.must(os.Symlink("../"+id+"/diff", filepath.Join(store, "l", name+fmt.Sprint(i))))
		lowers = append(lowers, "l/"+name+fmt.Sprint(i))
	}
	h.must(os.Symlink(h.image(), filepath.Join(store, "l", name+"I")))
	lowers = append(lowers, "l/"+name+"I")
	home := filepath.Join(store, name)
	merged, upper = filepath.Join(home, "merged"), filepath.Join(home, "diff")
	for _, dir := range []string{merged, upper, filepath.Join(home, "work")} {
		h.must(os.MkdirAll(dir, 0o755))
	}
	data := "lowerdir=" + strings.Join(lowers, ":") + ",upperdir=" + name + "/diff,workdir=" + name + "/work" + options
	// mount(2) reads names relative to the working folder.
	cmd := exec.CommandContext(h.Context(), "mount", "-t", "overlay", "-i", "-o", data, "overlay", merged)
	cmd.Dir = store
	if len(data) > 4000 {
		h.Fatalf("%d bytes of options", len(data))
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		h.Fatalf("%v: %s", err, out)
	}
	h.Cleanup(func() { _ = unix.Unmount(merged, unix.MNT_DETACH) })
	return merged, upper
}

// grants returns the names in the folder of grants that are containers'.
func (h *host) grants() []string {
	entries, err := os.ReadDir(h.state)
	if err != nil {
		return nil
	}
	var all []string
	for _, e := range entries {
		if e.IsDir() {
			all = append(all, e.Name())
		}
	}
	return all
}

// groups returns the control groups of the test's team.
func groups() []string {
	var all []string
	for _, pattern := range []string{"/sys/fs/cgroup/*/plimsoll/" + team + "*", "/sys/fs/cgroup/plimsoll/" + team + "*"} {
		found, _ := filepath.Glob(pattern)
		all = append(all, found...)
	}
	return all
}

// mounts returns the host's mounts below the test's folder and the runtime's.
func (h *host) mounts() []string {
	b, err := os.ReadFile("/proc/self/mountinfo")
	h.must(err)
	var all []string
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, "/exec/netns/default ") {
			continue // Docker's own, with the first container that asks for the host's network
		}
		if strings.Contains(line, h.dir) || strings.Contains(line, "/run/plimsoll/seal") {
			all = append(all, line)
		}
	}
	return all
}

// clean fails the test if a container left something.
func (h *host) clean(mounts []string) {
	h.Helper()
	if got := h.grants(); len(got) > 0 {
		h.Errorf("grants are left: %q", got)
	}
	if got := groups(); len(got) > 0 {
		h.Errorf("control groups are left: %q", got)
	}
	if got := h.mounts(); !slices.Equal(got, mounts) {
		h.Errorf("mounts were %q, are %q", mounts, got)
	}
}

func (h *host) cleanUp() {
	for line := range strings.Lines(strings.Join(h.mounts(), "")) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], h.dir) {
			_ = unix.Unmount(f[4], unix.MNT_DETACH)
		}
	}
	if err := os.RemoveAll(h.dir); err != nil {
		h.Error(err)
	}
}

var errRefused = fault.Errorf(fault.Denied, "nobody signed it")

func mountsOf(dir string) []profile.Mount {
	return []profile.Mount{{Path: dir + "/**", Writable: true}}
}

// pid returns the number of the container's first process.
func (b *bundle) pid() string {
	text, err := os.ReadFile(filepath.Join(b.dir, "pid"))
	b.must(err)
	return strings.TrimSpace(string(text))
}
