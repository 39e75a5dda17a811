package protocol_test

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/seal/protocol"
)

// listen answers each connection on a new socket with what serve does.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "guard") //nolint:usetesting // a short path: a socket lies in it
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
		_ = os.RemoveAll(dir)
	})
	return socket
}

func answer(t *testing.T, a any) func(net.Conn) {
	return func(c net.Conn) {
		var q protocol.Question
		if err := protocol.Read(c, &q); err != nil {
			t.Error(err)
		} else if err := q.Validate(); err != nil {
			t.Error(err)
		}
		if err := protocol.Write(c, a); err != nil {
			t.Error(err)
		}
	}
}

func question() protocol.Question {
	return protocol.Question{Verb: protocol.Create, ID: "c1", State: "/run/runc"}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("needs root, which the guard must be")
	}
	t.Skip("needs root, which the guard must be")
}

func TestAsk(t *testing.T) {
	needRoot(t)
	g := grant()
	hintless := protocol.Refuse(fault.Hint(fault.Errorf(fault.Untrusted, "no signature"), "sign it"))
	spoilt := g
	spoilt.IDs.Base = 0
	tests := []struct {
		name   string
		answer any
		kind   fault.Kind
		ok     bool
	}{
		{"a grant", protocol.Answer{Version: 1, Grant: &g}, 0, true},
		{"a refusal", hintless, fault.Untrusted, false},
		{"a grant and a reason", protocol.Answer{Version: 1, Grant: &g, Error: "no"}, fault.Internal, false},
		{"neither", protocol.Answer{Version: 1}, fault.Invalid, false},
		{"another version", protocol.Answer{Version: 2, Grant: &g}, fault.Invalid, false},
		{"a spoilt grant", protocol.Answer{Version: 1, Grant: &spoilt}, fault.Invalid, false},
		{"unknown fields", map[string]any{"version": 1, "grant": g, "also": 1}, fault.Invalid, false},
	}
	for _, tt := range tests {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		got, err := protocol.Ask(ctx, listen(t, answer(t, tt.answer)), question())
		cancel()
		if (err == nil) != tt.ok || (err != nil && fault.KindOf(err) != tt.kind) || (tt.ok && got.Team != "alpha") {
			t.Errorf("%s: %+v, %v (%v)", tt.name, got, err, fault.KindOf(err))
		}
		if tt.name == "a refusal" && (fault.HintOf(err) != "sign it" || !strings.Contains(err.Error(), "no signature")) {
			t.Errorf("refusal came as %v, hint %q", err, fault.HintOf(err))
		}
	}
}

func TestTell(t *testing.T) {
	needRoot(t)
	q := question()
	q.Verb = protocol.Deleted
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := protocol.Tell(ctx, listen(t, answer(t, protocol.Answer{Version: 1})), q); err != nil {
		t.Error(err)
	}
	if err := protocol.Tell(ctx, listen(t, answer(t, protocol.Refuse(io.ErrNoProgress))), q); err == nil {
		t.Error("an error was taken for a note")
	}
}

// TestNoAnswer asks guards that never give one: not there, silent, half-way
// through, with a full queue.
func TestNoAnswer(t *testing.T) {
	needRoot(t)
	release := make(chan struct{})
	silent := listen(t, func(net.Conn) { <-release })
	half := listen(t, func(c net.Conn) {
		_, _ = c.Write([]byte("\x00\x00\x01\x00{"))
		<-release
	})
	gone := listen(t, func(net.Conn) {})
	for name, socket := range map[string]string{"none": "/nonexistent/guard.sock", "silent": silent, "half": half, "gone": gone} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := protocol.Ask(ctx, socket, question()); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v (%v)", name, err, fault.KindOf(err))
		}
		cancel()
	}
	if _, err := protocol.Ask(t.Context(), silent, question()); err == nil {
		t.Error("asked without a deadline")
	}
	close(release)
}

func TestSocketOfSomebodyElse(t *testing.T) {
	needRoot(t)
	socket := listenAs(t, 65534)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := protocol.Ask(ctx, socket, question()); err == nil || !strings.Contains(err.Error(), "not root") {
		t.Errorf("another user's guard was asked: %v", err)
	}
}

// listenAs returns a socket that the user uid listens on.
func listenAs(t *testing.T, uid uint32) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "guard") //nolint:usetesting // a short path: a socket lies in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = []string{"PLIMSOLL_TEST_LISTEN=" + socket}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	// The test's own program may lie where others cannot reach it.
	self, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = self.Close() }()
	cmd.Path = filepath.Join(dir, "listener")
	b, err := io.ReadAll(self)
	if err == nil {
		err = os.WriteFile(cmd.Path, b, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatalf("listener: %v", err)
	}
	return socket
}

func TestMain(m *testing.M) {
	if socket := os.Getenv("PLIMSOLL_TEST_LISTEN"); socket != "" {
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", socket)
		if err == nil {
			_, _ = os.Stdout.WriteString("l")
			_, _ = io.ReadAll(os.Stdin) // until the test ends
			_ = l.Close()
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}
