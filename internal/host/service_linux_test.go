package host

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/seal/protocol"
)

// TestUnitUnderSystemd starts the guard by its unit, and has it do what the unit's
// restrictions could keep it from: listen, write its records, answer. It comes back
// when it is killed.
func TestUnitUnderSystemd(t *testing.T) {
	program := os.Getenv("PLIMSOLL_UNIT")
	if program == "" {
		t.Skip("needs systemd as the first process: make vm")
	}
	policy := "apiVersion: plimsoll/v1\nkind: Policy\nenvironments:\n  here: {rules: [{id: secrets, each: component, deny: component.kind == \"secret\"}]}\nhost: {environment: here}\n" +
		"teams:\n  payments:\n    members: {users: [alice]}\n    may: [run]\n    profile: {cpus: 1, memory: 64MiB, pids: 10}\n"
	for file, text := range map[string]string{"/var/lib/plimsoll/policy.yaml": policy, "/etc/systemd/system/" + guardUnit: guardText(program, []string{"--group", "root"})} {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run := func(program string, args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
		if err != nil {
			status, _ := exec.CommandContext(t.Context(), "systemctl", "status", "--no-pager", "-l", guardUnit).CombinedOutput()
			t.Fatalf("%s %q: %v\n%s\n%s", program, args, err, out, status)
		}
		return strings.TrimSpace(string(out))
	}
	run("systemctl", "daemon-reload")
	run("systemctl", "start", guardUnit) // until it says that it is ready

	ask := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		_, err := protocol.Ask(ctx, "/run/plimsoll/runtime/guard.sock", protocol.Question{Verb: protocol.Create, ID: "c1", State: "/run/runc"})
		return err
	}
	if err := ask(); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "nobody with a team") {
		t.Errorf("a container of nobody: %v", err)
	}
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", PublicSocket)
	}}}
	resp, err := client.Get("http://docker/v1.41/containers/json")
	if err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode < 400 || !bytes.Contains(said, []byte("plimsoll")) {
		t.Errorf("people's socket: %d %s, %v", resp.StatusCode, said, err)
	}
	_ = resp.Body.Close()
	if log := run(program, "audit", "log", "--outcome", "denied"); !strings.Contains(log, "c1") {
		t.Errorf("the audit log: %s", log)
	}
	run(program, "audit", "verify")

	pid := run("systemctl", "show", "--property=MainPID", "--value", guardUnit)
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil || !strings.Contains(string(status), "NoNewPrivs:\t1") {
		t.Errorf("its process, %v:\n%s", err, status)
	}
	if n, err := strconv.Atoi(pid); err != nil || syscall.Kill(n, syscall.SIGKILL) != nil {
		t.Fatalf("its process is %q", pid)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		now := run("systemctl", "show", "--property=MainPID", "--value", guardUnit)
		if now != pid && now != "0" && fault.Is(ask(), fault.Denied) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("killed as %s, it is %s now, and: %v", pid, now, ask())
		}
	}
	run("systemctl", "stop", guardUnit)
	if err := ask(); !fault.Is(err, fault.Unavailable) {
		t.Errorf("stopped: %v", err)
	}
	if err := syscall.Access(PublicSocket, syscall.F_OK); err == nil {
		t.Error("stopped, and people's socket is still there")
	}
}
