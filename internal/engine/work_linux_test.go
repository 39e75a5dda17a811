package engine_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestWhatPeopleDo runs the real client through the proxy: everything that works
// without it works.
func TestWhatPeopleDo(t *testing.T) {
	h := open(t, anEngine(t), newMemory())
	has := func(want string, args ...string) {
		t.Helper()
		if out := h.must(t, "alpha", args...); !strings.Contains(out, want) {
			t.Errorf("docker %s: %q is not in %q", strings.Join(args, " "), want, out)
		}
	}
	has("hello", "run", "--rm", "busybox", "echo", "hello")
	id := h.must(t, "alpha", "run", "-d", "--name", "w1", "-e", "A=b", "-v", "vol1:/data", "-p", "127.0.0.1:18080:80", "busybox", "sleep", "600")
	t.Cleanup(func() { _, _ = h.docker(t, "alpha", "rm", "-fv", id) })
	has("w1", "ps")
	has("b", "exec", "w1", "sh", "-c", "echo $A")
	has("uid=1000", "exec", "-u", "app", "w1", "id")
	has("sleep", "top", "w1")
	has(id[:12], "ps", "-q", "--filter", "name=w1")
	has("vol1", "volume", "ls")
	has("\"Name\": \"vol1\"", "volume", "inspect", "vol1")
	has("w1", "stats", "--no-stream", "w1")
	has("18080", "port", "w1")
	h.must(t, "alpha", "exec", "w1", "sh", "-c", "echo kept > /made; echo x > /data/f")
	has("A /made", "diff", "w1")
	has("w2", "run", "--rm", "--volumes-from", "w1", "busybox", "sh", "-c", "cat /data/f; echo w2")
	file := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(file, []byte("copied"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.must(t, "alpha", "cp", file, "w1:/in")
	has("copied", "exec", "w1", "cat", "/in")
	h.must(t, "alpha", "cp", "w1:/made", file)
	if got, err := os.ReadFile(file); err != nil || string(got) != "kept\n" {
		t.Errorf("copied out: %q, %v", got, err)
	}
	has("w1", "update", "--memory", "128m", "--memory-swap", "256m", "w1", "--cpus", "0.5")
	has("134217728 500000000", "inspect", "-f", "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}}", "w1")
	h.must(t, "alpha", "pause", "w1")
	h.must(t, "alpha", "unpause", "w1")
	h.must(t, "alpha", "rename", "w1", "w9")
	h.must(t, "alpha", "restart", "-t", "0", "w9")
	has("kept", "exec", "w9", "cat", "/made")
	h.must(t, "alpha", "commit", "w9", "made:1")
	has("kept", "run", "--rm", "made:1", "cat", "/made")
	has("made", "images")
	h.must(t, "alpha", "tag", "made:1", "made:2")
	saved := filepath.Join(t.TempDir(), "saved.tar")
	h.must(t, "alpha", "save", "-o", saved, "made:2")
	h.must(t, "alpha", "rmi", "made:1", "made:2")
	has("Loaded image: made:2", "load", "-i", saved)
	has("kept", "run", "--rm", "made:2", "cat", "/made")
	h.must(t, "alpha", "rmi", "made:2")
	h.must(t, "alpha", "network", "create", "net1")
	has("net1", "network", "ls")
	h.must(t, "alpha", "network", "connect", "net1", "w9")
	has("ok", "run", "--rm", "--network", "net1", "busybox", "echo", "ok")
	h.must(t, "alpha", "network", "disconnect", "net1", "w9")
	has("ok", "run", "--rm", "--network", "container:w9", "--pid", "container:w9", "busybox", "echo", "ok")
	h.must(t, "alpha", "network", "rm", "net1")
	has("[", "inspect", "w9")
	h.must(t, "alpha", "kill", "w9")
	has("137", "wait", "w9")
	h.must(t, "alpha", "start", "w9")
	h.must(t, "alpha", "stop", "-t", "0", "w9")
	h.must(t, "alpha", "rm", "-v", "w9")
	h.must(t, "alpha", "volume", "rm", "vol1")
	has("Server Version", "info")
	has("API version", "version")
	has("TYPE", "system", "df")
	has("ok", "run", "--rm", "--init", "--read-only", "--tmpfs", "/t:size=1m", "--ulimit", "nofile=100:200", "--sysctl", "kernel.shmmax=1000000", "--oom-score-adj", "500",
		"--cap-drop", "ALL", "--cap-add", "CHOWN", "--security-opt", "no-new-privileges", "--shm-size", "1m", "--dns", "127.0.0.1", "--add-host", "a:1.2.3.4", "-u", "app", "-w", "/tmp",
		"--memory", "64m", "--cpus", "0.5", "--pids-limit", "20", "--ipc", "shareable", "--log-opt", "max-size=1m", "--restart", "no", "busybox", "echo", "ok")
	h.must(t, "alpha", "container", "prune", "-f")
	h.must(t, "alpha", "volume", "prune", "-f")
	h.must(t, "alpha", "network", "prune", "-f")
}

func TestBuild(t *testing.T) {
	h := open(t, anEngine(t), newMemory())
	dir := t.TempDir()
	recipe := "ARG BASE=busybox\nFROM $BASE AS one\nRUN id; cat /proc/self/cgroup > /cg; touch /built\nFROM busybox\nCOPY --from=one /built /cg /\nUSER app\n"
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(recipe), 0o600); err != nil {
		t.Fatal(err)
	}
	h.must(t, "alpha", "build", "-t", "b:1", dir)
	if out := h.must(t, "alpha", "run", "--rm", "b:1", "cat", "/cg"); !strings.Contains(out, "/plimsoll/alpha/build-") {
		t.Errorf("the build's step ran in %q", out)
	}
	if out, err := h.docker(t, "beta", "run", "--rm", "b:1", "true"); err == nil {
		t.Errorf("another team ran it: %s", out)
	}
	for what, recipe := range map[string]string{
		"another team's image":  "FROM b:1\n",
		"copied from one":       "FROM busybox\nCOPY --from=b:1 /cg /\n",
		"one that is not there": "FROM nowhere.example/x:1\n",
		"one that is denied":    "FROM evil\n",
		"an unknown variable":   "FROM ${X:-b:1}\n",
		"split over lines":      "FR\\\nOM b:1\n",
		"on build":              "FROM busybox\nONBUILD COPY --from=b:1 /cg /\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(recipe), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := h.docker(t, "beta", "build", dir); err == nil || !strings.Contains(out, "plimsoll:") {
			t.Errorf("%s: %v\n%s", what, err, out)
		}
	}
	h.must(t, "alpha", "rmi", "b:1")
}

func TestStreams(t *testing.T) {
	h := open(t, anEngine(t), newMemory())
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB
	out, err := h.dockerIn(t, "alpha", bytes.NewReader(big), "run", "--rm", "-i", "busybox", "wc", "-c")
	if err != nil || out != "4194304" {
		t.Errorf("4 MiB through attach, and its end: %q, %v", out, err)
	}
	id := h.must(t, "alpha", "run", "-d", "busybox", "sh", "-c", "for i in 1 2 3; do echo line$i; done; sleep 600")
	t.Cleanup(func() { _, _ = h.docker(t, "alpha", "rm", "-f", id) })
	out, err = h.dockerIn(t, "alpha", bytes.NewReader(big), "exec", "-i", id, "wc", "-c")
	if err != nil || out != "4194304" {
		t.Errorf("4 MiB through exec, and its end: %q, %v", out, err)
	}
	logs := exec.CommandContext(t.Context(), "docker", "-H", "unix://"+h.socketOf("alpha"), "logs", "-f", id)
	pipe, err := logs.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := logs.Start(); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len("line1\nline2\nline3\n"))
	if _, err := io.ReadFull(pipe, got); err != nil || string(got) != "line1\nline2\nline3\n" {
		t.Errorf("logs -f while it runs: %q, %v", got, err)
	}
	_ = logs.Process.Kill()
	_ = logs.Wait()
}

// TestEventsAreTheTeams waits for an event of the team's own and sees none of the
// other's before it.
func TestEventsAreTheTeams(t *testing.T) {
	h := open(t, anEngine(t), newMemory())
	c, err := net.Dial("unix", h.socketOf("alpha"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /v1.41/events HTTP/1.1\r\nHost: d\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<16)
	n, err := c.Read(buf) // the head: from here on the engine reports
	if err != nil {
		t.Fatal(err)
	}
	seen := string(buf[:n])
	h.must(t, "beta", "run", "--rm", "--name", "theirs", "busybox", "true")
	h.must(t, "alpha", "run", "--rm", "--name", "ours", "busybox", "true")
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	for !strings.Contains(seen, "destroy") {
		n, err := c.Read(buf)
		if err != nil {
			t.Fatalf("%v after %q", err, seen)
		}
		seen += string(buf[:n])
	}
	if strings.Contains(seen, "theirs") || !strings.Contains(seen, "ours") {
		t.Errorf("events: %s", seen)
	}
}
