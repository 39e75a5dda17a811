package agent_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"plimsoll/internal/agent"
	"plimsoll/internal/fault"
	"plimsoll/internal/seal/protocol"
)

// shortFolder is for sockets, whose names must be short.
func shortFolder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "guard") //nolint:usetesting // whose names are too long
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir
}

// serve starts a server for whoever runs the test and returns its socket.
func serve(t testing.TB, a agent.Answerer, change func(*agent.ServerConfig)) string {
	t.Helper()
	dir := shortFolder(t)
	c := agent.ServerConfig{Socket: filepath.Join(dir, "runtime", "guard.sock"), Agent: a, UID: uint32(os.Getuid()), Warn: func(err error) { t.Log("warning:", err) }}
	if change != nil {
		change(&c)
	}
	s, err := agent.Listen(c)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return c.Socket
}

func needRoot(t testing.TB) {
	t.Helper()
	switch {
	case os.Getuid() == 0:
	case os.Getenv("CI") == "true":
		t.Fatal("needs root, which this lane must have")
	default:
		t.Skip("needs root: the runtime believes nobody else")
	}
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestTheRuntimeAsks(t *testing.T) {
	needRoot(t)
	w := newWorld(t)
	s := w.registry.add(t, app, "layer")
	w.make(1, s)
	socket := serve(t, w.Agent, nil)
	for _, path := range []string{socket, filepath.Dir(socket)} {
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%q has mode %v", path, info.Mode())
		}
	}
	q := protocol.Question{Verb: protocol.Create, ID: id(1), State: state}
	g, err := protocol.Ask(within(t), socket, q)
	if err != nil || g.Team != "payments" {
		t.Errorf("%+v, %v", g, err)
	}
	q.ID = id(2)
	if g, err := protocol.Ask(within(t), socket, q); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "nobody with a team") || fault.HintOf(err) == "" {
		t.Errorf("%+v, %v", g, err)
	}
	q = protocol.Question{Verb: protocol.Deleted, ID: id(1), State: state}
	must(t, protocol.Tell(within(t), socket, q))
	if held, err := w.config.Ranges.Containers(t.Context()); err != nil || len(held) != 0 {
		t.Errorf("held: %v, %v", held, err)
	}
}

// answers is an agent that does what it is told to.
type answers func(ctx context.Context, q *protocol.Question) (*protocol.Grant, error)

func (f answers) Grant(ctx context.Context, q *protocol.Question) (*protocol.Grant, error) {
	return f(ctx, q)
}

func (f answers) Deleted(ctx context.Context, q *protocol.Question) error {
	_, err := f(ctx, q)
	return err
}

// exchange sends bytes and returns the answer, nil if there was none.
func exchange(t testing.TB, socket string, sent []byte) *protocol.Answer {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	must(t, err)
	defer func() { _ = conn.Close() }()
	must(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
	if _, err := conn.Write(sent); err != nil && !errors.Is(err, syscall.EPIPE) {
		t.Fatal(err)
	}
	must(t, conn.(*net.UnixConn).CloseWrite())
	var a protocol.Answer
	if err := protocol.Read(conn, &a); err != nil {
		return nil
	}
	return &a
}

func framed(t testing.TB, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, protocol.Write(&b, v))
	return b.Bytes()
}

func TestTheServerRefuses(t *testing.T) {
	good := protocol.Question{Version: protocol.Version, Verb: protocol.Create, ID: "a", State: "/run/runc"}
	var asked atomic.Int64
	socket := serve(t, answers(func(_ context.Context, q *protocol.Question) (*protocol.Grant, error) {
		asked.Add(1)
		switch q.ID {
		case "panics":
			panic("secret of the guard")
		case "nothing":
			return nil, nil //nolint:nilnil // what a mistake of ours would return
		}
		return nil, fault.Errorf(fault.Denied, "asked about %s", q.ID)
	}), nil)
	change := func(fn func(*protocol.Question)) []byte {
		q := good
		fn(&q)
		return framed(t, q)
	}
	long := binary.BigEndian.AppendUint32(nil, 1<<31)
	for name, tt := range map[string]struct {
		sent []byte
		kind fault.Kind
	}{
		"a good question":    {framed(t, good), fault.Denied},
		"a panic":            {change(func(q *protocol.Question) { q.ID = "panics" }), fault.Internal},
		"no answer":          {change(func(q *protocol.Question) { q.ID = "nothing" }), fault.Internal},
		"another version":    {change(func(q *protocol.Question) { q.Version = 2 }), fault.Invalid},
		"another verb":       {change(func(q *protocol.Question) { q.Verb = "exec" }), fault.Invalid},
		"an ID that is path": {change(func(q *protocol.Question) { q.ID = "../../x" }), fault.Invalid},
		"no state":           {change(func(q *protocol.Question) { q.State = "" }), fault.Invalid},
		"too long":           {long, fault.Invalid},
		"nothing":            {nil, fault.Unavailable},
		"half":               {framed(t, good)[:20], fault.Unavailable},
		"unknown field":      {append(binary.BigEndian.AppendUint32(nil, 18), `{"verb":"c","x":1}`...), fault.Invalid},
		"not JSON":           {append(binary.BigEndian.AppendUint32(nil, 4), "abcd"...), fault.Invalid},
	} {
		a := exchange(t, socket, tt.sent)
		if a == nil || a.Grant != nil || a.Kind != tt.kind || a.Error == "" || strings.Contains(a.Error, "secret") {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if asked.Load() != 3 {
		t.Errorf("the agent was asked %d times", asked.Load())
	}
}

func TestStrangersGetNothing(t *testing.T) {
	socket := serve(t, answers(func(context.Context, *protocol.Question) (*protocol.Grant, error) {
		t.Error("a stranger was heard")
		return nil, errors.New("no")
	}), func(c *agent.ServerConfig) { c.UID = uint32(os.Getuid()) + 1 })
	if a := exchange(t, socket, framed(t, protocol.Question{Version: 1, Verb: protocol.Create, ID: "a", State: "/x"})); a != nil {
		t.Errorf("answer %+v", a)
	}
}

// TestSlowAgents has all slots taken by questions that are never answered: whoever
// waits then is refused in time, and so are these.
func TestSlowAgents(t *testing.T) {
	socket := serve(t, answers(func(ctx context.Context, _ *protocol.Question) (*protocol.Grant, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}), func(c *agent.ServerConfig) { c.AtOnce, c.Deadline = 2, 300*time.Millisecond })
	got := make(chan *protocol.Answer)
	for range 6 {
		go func() {
			got <- exchange(t, socket, framed(t, protocol.Question{Version: 1, Verb: protocol.Create, ID: "a", State: "/x"}))
		}()
	}
	for range 6 {
		if a := <-got; a == nil || a.Grant != nil || a.Kind != fault.Unavailable {
			t.Errorf("answer %+v", a)
		}
	}
}

// FuzzQuestion sends bytes to a server. Only a valid question may reach the agent.
func FuzzQuestion(f *testing.F) {
	good := protocol.Question{Version: protocol.Version, Verb: protocol.Create, ID: "a", State: "/run/runc", Cgroup: "/x", Annotations: map[string]string{"a": "b"}}
	b, err := json.Marshal(good)
	must(f, err)
	f.Add(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
	f.Add(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b[:20]...))
	f.Add([]byte{255, 255, 255, 255})
	f.Add([]byte{0, 0, 0, 0})
	var heard atomic.Pointer[protocol.Question]
	socket := serve(f, answers(func(_ context.Context, q *protocol.Question) (*protocol.Grant, error) {
		heard.Store(q)
		return nil, fault.Errorf(fault.Denied, "heard")
	}), func(c *agent.ServerConfig) { c.Warn = nil })
	f.Fuzz(func(t *testing.T, sent []byte) {
		heard.Store(nil)
		a := exchange(t, socket, sent)
		q := heard.Load()
		if q != nil && q.Validate() != nil {
			t.Errorf("%q reached the agent as %+v", sent, q)
		}
		if a != nil && (a.Grant != nil || a.Error == "" || (a.Error == "heard") != (q != nil)) {
			t.Errorf("%q: answer %+v, heard %+v", sent, a, q)
		}
	})
}

// BenchmarkGrant is a cached answer over the socket, as a runtime gets it: it
// includes the decision's way to the disk.
func BenchmarkGrant(b *testing.B) {
	needRoot(b)
	w := newWorld(b)
	s := w.registry.add(b, app, "layer")
	w.make(1, s)
	socket := serve(b, w.Agent, nil)
	q := protocol.Question{Verb: protocol.Create, ID: id(1), State: state}
	for b.Loop() {
		if _, err := protocol.Ask(within(b), socket, q); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStart is all that the guard does for one short container: the answer
// and the end.
func BenchmarkStart(b *testing.B) {
	needRoot(b)
	w := newWorld(b)
	s := w.registry.add(b, app, "layer")
	w.make(1, s)
	socket := serve(b, w.Agent, nil)
	for b.Loop() {
		if _, err := protocol.Ask(within(b), socket, protocol.Question{Verb: protocol.Create, ID: id(1), State: state}); err != nil {
			b.Fatal(err)
		}
		if err := protocol.Tell(within(b), socket, protocol.Question{Verb: protocol.Deleted, ID: id(1), State: state}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestWhoOnlyLooks connects and says nothing, as guard doctor does: nobody is warned
// of that, but of whoever stops in the middle.
func TestWhoOnlyLooks(t *testing.T) {
	needRoot(t)
	var mu sync.Mutex
	var told []string
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	c := agent.ServerConfig{
		Socket: filepath.Join(shortFolder(t), "runtime", "guard.sock"), Agent: answers(func(context.Context, *protocol.Question) (*protocol.Grant, error) {
			return nil, fault.Errorf(fault.Denied, "no")
		}),
		Warn: func(err error) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, err.Error())
		},
	}
	s, err := agent.Listen(c)
	must(t, err)
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for _, sent := range []string{"", "\x00\x00"} {
		conn, err := net.Dial("unix", c.Socket)
		must(t, err)
		_, err = conn.Write([]byte(sent))
		must(t, err)
		must(t, conn.Close())
	}
	// By the time that this is answered, those before it are being served.
	if _, err := protocol.Ask(within(t), c.Socket, protocol.Question{Verb: protocol.Create, ID: id(1), State: state}); !fault.Is(err, fault.Denied) {
		t.Error(err)
	}
	stop()
	must(t, <-done)
	if len(told) != 1 || !strings.Contains(told[0], "unexpected EOF") {
		t.Errorf("told: %q", told)
	}
}
