package engine

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// unixPair returns the two ends of a connection.
func unixPair(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	var both [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		c, err := net.FileConn(f)
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		both[i] = c.(*net.UnixConn)
		t.Cleanup(func() { _ = c.Close() })
	}
	return both[0], both[1]
}

// TestSplice carries more than any buffer holds, in pieces of all sizes, to somebody
// who reads slowly; the end is carried too.
func TestSplice(t *testing.T) {
	sender, from := unixPair(t)
	to, receiver := unixPair(t)
	content := make([]byte, 9<<20+1)
	random := rand.NewChaCha8([32]byte{1})
	if _, err := random.Read(content); err != nil {
		t.Fatal(err)
	}
	go func() {
		for rest := content; len(rest) > 0; {
			n := min(len(rest), 1+int(random.Uint64()%(100<<10)))
			if _, err := sender.Write(rest[:n]); err != nil {
				t.Error(err)
			}
			rest = rest[n:]
		}
		_ = sender.CloseWrite()
	}()
	done := make(chan bool, 1)
	go func() {
		// The client's end is wrapped, as the listener's are.
		done <- splice(&conn{Conn: to, close: func() {}}, from)
		_ = to.CloseWrite()
	}()
	got := sha256.New()
	if n, err := io.CopyBuffer(got, struct{ io.Reader }{receiver}, make([]byte, 7001)); err != nil || n != int64(len(content)) {
		t.Errorf("%d of %d bytes, %v", n, len(content), err)
	}
	if want := sha256.Sum256(content); !bytes.Equal(got.Sum(nil), want[:]) {
		t.Error("other bytes came out than went in")
	}
	if !<-done {
		t.Error("it was not done in the kernel")
	}
}

// TestSpliceEnds has one of the two go away while nothing or something is under way.
func TestSpliceEnds(t *testing.T) {
	for name, end := range map[string]func(sender, receiver, from, to *net.UnixConn){
		"the sender goes":      func(sender, _, _, _ *net.UnixConn) { _ = sender.Close() },
		"our end is closed":    func(_, _, from, _ *net.UnixConn) { _ = from.Close() },
		"the receiver is gone": func(sender, receiver, _, _ *net.UnixConn) { _ = receiver.Close(); _, _ = sender.Write([]byte("x")) },
	} {
		sender, from := unixPair(t)
		to, receiver := unixPair(t)
		done := make(chan bool, 1)
		go func() { done <- splice(to, from) }()
		if _, err := sender.Write([]byte("first")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(receiver, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		end(sender, receiver, from, to)
		if !<-done {
			t.Errorf("%s: it was not done in the kernel", name)
		}
	}
	a, b := net.Pipe()
	if splice(a, b) {
		t.Error("between what are no sockets")
	}
}
