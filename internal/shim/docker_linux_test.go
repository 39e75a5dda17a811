package shim_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll/internal/seal/protocol"
)

// engine is a Docker Engine with folders, sockets and a bridge of its own, whose
// default runtime is ours.
type engine struct {
	*host
	home, bridge, socket string
}

func newEngine(t testing.TB) *engine {
	t.Helper()
	need(t, "dockerd", "containerd", "docker", "ip")
	h := newHost(t)
	e := &engine{host: h, home: filepath.Join(h.dir, "e"), bridge: fmt.Sprintf("ps%d", os.Getpid()%100000)}
	e.socket = filepath.Join(e.home, "d.sock")
	for _, dir := range []string{"data", "exec", "ctr"} {
		h.must(os.MkdirAll(filepath.Join(e.home, dir), 0o711))
	}
	e.system("ip", "link", "add", e.bridge, "type", "bridge")
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", e.bridge).Run() })
	e.system("ip", "addr", "add", "10.231.77.1/24", "dev", e.bridge)
	e.system("ip", "link", "set", e.bridge, "up")
	t.Cleanup(e.unmount)
	containerd := filepath.Join(e.home, "ctr/c.sock")
	e.daemon("containerd", "containerd", "--config", "/dev/null", "--root", filepath.Join(e.home, "ctr/root"), "--state", filepath.Join(e.home, "ctr/state"), "-a", containerd)
	e.await(func() bool { _, err := os.Stat(containerd); return err == nil })
	h.must(os.WriteFile(filepath.Join(e.home, "daemon.json"), []byte("{}"), 0o600))
	e.daemon("dockerd", "dockerd", "--data-root", filepath.Join(e.home, "data"), "--exec-root", filepath.Join(e.home, "exec"),
		"-H", "unix://"+e.socket, "--pidfile", filepath.Join(e.home, "pid"), "--containerd", containerd, "-b", e.bridge,
		"--iptables=false", "--ip-masq=false", "--add-runtime", "sealed="+h.bin, "--default-runtime", "sealed", "--config-file", filepath.Join(e.home, "daemon.json"), "--storage-driver", "overlay2")
	e.await(func() bool { return e.docker("info").Run() == nil })
	h.give(func(*protocol.Grant) {})
	h.mu.Lock()
	plainAnswer := h.answer
	h.answer = func(q protocol.Question) protocol.Answer {
		a := plainAnswer(q)
		data := filepath.Join(e.home, "data")
		a.Grant.Own = []string{filepath.Join(data, "containers", q.ID)}
		a.Grant.VolumeRoots = []string{filepath.Join(data, "volumes")}
		a.Grant.VolumeNames = []string{"vol"}
		a.Grant.Profile.Mounts = append(a.Grant.Profile.Mounts, mountsOf(filepath.Join(h.dir, "share"))...)
		return a
	}
	h.mu.Unlock()
	tar := exec.CommandContext(t.Context(), "tar", "-C", h.image(), "-c", ".")
	imported := e.docker("import", "-", "busybox")
	pipe, err := tar.StdoutPipe()
	h.must(err)
	imported.Stdin = pipe
	h.must(tar.Start())
	if out, err := imported.CombinedOutput(); err != nil {
		t.Fatalf("import: %v: %s", err, out)
	}
	h.must(tar.Wait())
	return e
}

func (e *engine) system(args ...string) {
	e.Helper()
	if out, err := exec.CommandContext(e.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
		e.Fatalf("%q: %v: %s", args, err, out)
	}
}

// daemon starts a program that ends with the test.
func (e *engine) daemon(name string, args ...string) {
	e.Helper()
	log, err := os.Create(filepath.Join(e.home, name+".log"))
	e.must(err)
	cmd := exec.CommandContext(context.WithoutCancel(e.Context()), args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	e.must(cmd.Start())
	e.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		_ = log.Close()
		if e.Failed() {
			b, _ := os.ReadFile(log.Name())
			e.Logf("%s: %s", name, b[max(0, len(b)-3000):])
		}
	})
}

func (e *engine) await(ready func() bool) {
	e.Helper()
	for range 600 {
		if ready() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	e.Fatal("an engine did not start")
}

func (e *engine) unmount() {
	b, _ := os.ReadFile("/proc/self/mountinfo")
	var all []string
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); strings.HasPrefix(f[4], e.home) {
			all = append(all, f[4])
		}
	}
	for _, m := range slices.Backward(all) {
		_ = unix.Unmount(m, unix.MNT_DETACH)
	}
}

func (e *engine) docker(args ...string) *exec.Cmd {
	return exec.CommandContext(e.Context(), "docker", slices.Concat([]string{"-H", "unix://" + e.socket}, args)...)
}

// does runs a command of the client, which must succeed.
func (e *engine) does(args ...string) string {
	e.Helper()
	var stdout, stderr bytes.Buffer
	cmd := e.docker(args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		e.Fatalf("docker %q: %v: %s%s", args, err, stdout.String(), stderr.String())
	}
	return strings.TrimSpace(stdout.String())
}

// fails runs a command of the client, which must not succeed, and returns what it
// says.
func (e *engine) fails(args ...string) string {
	e.Helper()
	out, err := e.docker(args...).CombinedOutput()
	if err == nil {
		e.Errorf("docker %q succeeded: %s", args, out)
	}
	return string(out)
}

func TestDockerEngine(t *testing.T) {
	e := newEngine(t)
	mounts := e.mounts()
	share := filepath.Join(e.dir, "share")
	e.must(os.Mkdir(share, 0o755))
	e.must(os.WriteFile(filepath.Join(share, "secret"), []byte("root's"), 0o600))
	disk := int(grant().Disk.Base)
	own := filepath.Join(share, "own")
	e.must(os.Mkdir(own, 0o755))
	e.must(os.Chown(own, disk, disk))

	if out := e.does("run", "--rm", "busybox", "cat", "/proc/self/uid_map"); strings.Contains(out, "4294967295") || !strings.Contains(out, "65536") {
		t.Errorf("uid_map %q", out)
	}
	t.Run("exec", func(t *testing.T) {
		e.does("run", "-d", "--name", "c1", "busybox", "sleep", "1000")
		if out := e.does("exec", "c1", "cat", "/proc/self/uid_map"); strings.Contains(out, "4294967295") {
			t.Errorf("uid_map %q", out)
		}
		if out := e.does("exec", "--privileged", "c1", "grep", "CapEff", "/proc/self/status"); strings.Contains(out, "3ffffffff") || strings.Contains(out, "1ffffffff") {
			t.Errorf("a privileged exec has %q", out)
		}
		e.does("exec", "c1", "touch", "/made")
	})
	t.Run("copy", func(t *testing.T) {
		e.must(os.WriteFile(filepath.Join(e.dir, "in"), []byte("hello"), 0o644))
		e.does("cp", filepath.Join(e.dir, "in"), "c1:/in")
		if out := e.does("exec", "c1", "cat", "/in"); out != "hello" {
			t.Errorf("copied %q", out)
		}
		e.does("cp", "c1:/made", filepath.Join(e.dir, "out"))
	})
	t.Run("commit", func(t *testing.T) {
		e.does("commit", "c1", "committed")
		if out := e.does("run", "--rm", "committed", "stat", "-c", "%u", "/made"); out != "0" {
			t.Errorf("owner %q", out)
		}
	})
	t.Run("update", func(t *testing.T) {
		e.does("update", "--pids-limit", "-1", "--memory", "4g", "--memory-swap", "-1", "c1")
		id := e.does("inspect", "-f", "{{.Id}}", "c1")
		for file, want := range map[string]string{"pids/plimsoll/" + team + "/" + id + "/pids.max": "64", "memory/plimsoll/" + team + "/" + id + "/memory.limit_in_bytes": "134217728"} {
			b, err := os.ReadFile(filepath.Join("/sys/fs/cgroup", file))
			if err != nil || strings.TrimSpace(string(b)) != want {
				t.Errorf("%s is %s, %v; want %s", file, b, err, want)
			}
		}
	})
	t.Run("pause, top, stats, restart", func(t *testing.T) {
		e.does("pause", "c1")
		e.does("unpause", "c1")
		e.does("top", "c1")
		e.does("stats", "--no-stream", "c1")
		e.does("restart", "-t", "0", "c1")
		e.does("exec", "c1", "cat", "/made")
		e.does("rm", "-f", "c1")
	})
	t.Run("volume", func(t *testing.T) {
		e.does("run", "--rm", "-v", "vol:/v", "busybox", "sh", "-c", "echo kept >/v/f; chown 1000 /v/f")
		if out := e.does("run", "--rm", "-v", "vol:/v", "busybox", "sh", "-c", "stat -c %u /v/f; cat /v/f"); out != "1000\nkept" {
			t.Errorf("volume holds %q", out)
		}
		owner(t, filepath.Join(e.home, "data/volumes/vol/_data/f"), 1000)
		if out := e.fails("run", "--rm", "-v", "other:/v", "busybox", "true"); !strings.Contains(out, "no volume of the container's team") {
			t.Errorf("another's volume: %s", out)
		}
	})
	t.Run("host bind", func(t *testing.T) {
		out := e.fails("run", "--rm", "-v", share+":/s", "busybox", "cat", "/s/secret")
		if !strings.Contains(out, "Permission denied") {
			t.Errorf("root's file: %s", out)
		}
		e.does("run", "--rm", "-v", share+":/s", "busybox", "sh", "-c", "echo x >/s/own/f; chmod 4755 /s/own/f")
		owner(t, filepath.Join(own, "f"), uint32(disk))
		for _, path := range []string{"/etc", "/", "/var/run", e.home, "/root/.ssh"} {
			if out := e.fails("run", "--rm", "-v", path+":/s", "busybox", "true"); !strings.Contains(out, "plimsoll") {
				t.Errorf("bind of %s: %s", path, out)
			}
		}
	})
	t.Run("ports", func(t *testing.T) {
		e.does("run", "-d", "--name", "web", "-p", "127.0.0.1:18763:8080", "busybox", "/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/etc")
		var got string
		e.await(func() bool {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:18763/passwd", nil)
			if err != nil {
				return false
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				return false
			}
			b, _ := io.ReadAll(res.Body)
			got = string(b)
			return res.Body.Close() == nil
		})
		if !strings.HasPrefix(got, "root:") {
			t.Errorf("answered %q", got)
		}
	})
	t.Run("joins", func(t *testing.T) {
		if out := e.does("run", "--rm", "--net=container:web", "--pid=container:web", "busybox", "ps"); !strings.Contains(out, "httpd") {
			t.Errorf("sees %q", out)
		}
		e.does("run", "-d", "--name", "naked", "--runtime=runc", "--net=none", "busybox", "sleep", "1000")
		if out := e.fails("run", "--rm", "--net=container:naked", "busybox", "true"); !strings.Contains(out, "no sealed container") {
			t.Errorf("joined one that is not sealed: %s", out)
		}
		e.does("rm", "-f", "naked")
		e.give(func(g *protocol.Grant) { g.Team = team + "2" })
		if out := e.fails("run", "--rm", "--net=container:web", "busybox", "true"); !strings.Contains(out, team+"2") {
			t.Errorf("joined another team's: %s", out)
		}
		e.does("rm", "-f", "web")
	})
	t.Run("host namespaces", func(t *testing.T) {
		for _, flag := range []string{"--net=host", "--pid=host", "--ipc=host", "--uts=host"} {
			if out := e.fails("run", "--rm", flag, "busybox", "true"); !strings.Contains(out, "plimsoll") {
				t.Errorf("%s: %s", flag, out)
			}
		}
	})
	e.clean(mounts)
}
