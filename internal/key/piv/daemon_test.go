package piv

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"plimsoll/internal/fault"
)

// answerer serves a socket with one answer for each message that comes, whatever
// connection it comes over.
func answerer(t *testing.T, answers ...[]byte) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for len(answers) > 0 {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			for len(answers) > 0 {
				header := make([]byte, 8)
				if _, err := io.ReadFull(conn, header); err != nil {
					break
				}
				body := make([]byte, binary.NativeEndian.Uint32(header))
				if _, err := io.ReadFull(conn, body); err != nil {
					break
				}
				if binary.NativeEndian.Uint32(header[4:]) == commandTransmit { // the APDU comes behind
					if _, err := io.CopyN(io.Discard, conn, int64(word(body, 3))); err != nil {
						break
					}
				}
				if _, err := conn.Write(answers[0]); err != nil {
					break
				}
				answers = answers[1:]
			}
			conn.Close()
		}
	}()
	return socket
}

// TestVersions greets daemons of several generations.
func TestVersions(t *testing.T) {
	agreed, stopped := words(0), words(uint32(serviceStopped))
	version := func(major, minor uint32, code []byte) []byte { return append(words(major, minor), code...) }
	begun := words(2, 77, 0)
	tests := []struct {
		name    string
		answers [][]byte
		want    string
	}{
		{"4.4", [][]byte{version(4, 4, agreed), begun}, ""},
		{"4.5, which takes nothing else", [][]byte{version(4, 5, stopped), version(4, 5, agreed), begun}, ""},
		{"4.6, which takes older ones", [][]byte{version(4, 6, agreed), begun}, ""},
		{"4.7, which takes nothing else", [][]byte{version(4, 7, stopped)}, "speaks version 4.7"},
		{"4.2", [][]byte{version(4, 2, stopped)}, "speaks version 4.2"},
		{"one that changes its mind", [][]byte{version(4, 5, stopped), version(4, 3, stopped)}, "speaks version 4.3"},
		{"5.0", [][]byte{version(5, 0, stopped)}, "speaks version 5 "},
		{"nothing", [][]byte{nil}, "broke"},
		{"half an answer", [][]byte{words(4)}, "broke"},
		{"no context", [][]byte{version(4, 4, agreed), words(2, 0, uint32(serviceStopped))}, "pcscd is stopping"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := dial(t.Context(), answerer(t, tt.answers...))
			if tt.want == "" {
				if err != nil || d.context != 77 {
					t.Fatalf("got %+v, %v", d, err)
				}
				if err := d.close(); err != nil {
					t.Error(err)
				}
				return
			}
			if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestLyingDaemon says that an APDU's answer is longer than any can be.
func TestLyingDaemon(t *testing.T) {
	for _, length := range []uint32{1, maxAnswer + 1, 1 << 31} {
		d, err := dial(t.Context(), answerer(t, words(4, 4, 0), words(2, 1, 0), words(0, 0, 0, 0, 0, 0, length, 0)))
		if err != nil {
			t.Fatal(err)
		}
		l := &link{daemon: d}
		if _, err := l.transmit(t.Context(), []byte{0, 0xa4, 4, 0}, time.Minute); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "answered with") {
			t.Errorf("%d bytes: %v", length, err)
		}
		if err := d.close(); err != nil {
			t.Error(err)
		}
	}
}

// TestEndlessAnswer has a token that always has more.
func TestEndlessAnswer(t *testing.T) {
	answers := [][]byte{words(4, 4, 0), words(2, 1, 0)}
	part := append(append(words(0, 0, 0, 0, 0, 0, 258, 0), make([]byte, 256)...), 0x61, 0x00)
	for range 100 {
		answers = append(answers, part)
	}
	d, err := dial(t.Context(), answerer(t, answers...))
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	l := &link{daemon: d}
	if _, err := l.send(t.Context(), command{ins: insGetData}); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "does not end") {
		t.Errorf("got %v", err)
	}
}

// TestAnswerInCrumbs has a token that gives its answer byte by byte, each of which
// may take as long as a whole command.
func TestAnswerInCrumbs(t *testing.T) {
	answers := [][]byte{words(4, 4, 0), words(2, 1, 0)}
	crumb := append(words(0, 0, 0, 0, 0, 0, 3, 0), 0x42, 0x61, 0x01)
	for range 2 * maxParts {
		answers = append(answers, crumb)
	}
	d, err := dial(t.Context(), answerer(t, answers...))
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	l := &link{daemon: d}
	if _, err := l.send(t.Context(), command{ins: insGetData}); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "does not end") {
		t.Errorf("got %v", err)
	}
}

// TestRefusedForNoKnownReason: a PIN that the token answers in a way that says
// nothing of tries may have been counted, and is not tried again.
func TestRefusedForNoKnownReason(t *testing.T) {
	refused := append(words(0, 0, 0, 0, 0, 0, 2, 0), 0x6f, 0x00)
	d, err := dial(t.Context(), answerer(t, words(4, 4, 0), words(2, 1, 0), refused))
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	token := &token{identity: identity{serial: 7}, provider: New(Config{PIN: "123456"}), link: &link{daemon: d}}
	pin, err := token.configuredPIN(3)
	if err != nil {
		t.Fatal(err)
	}
	if err := token.verify(t.Context(), pin); !fault.Is(err, fault.Unavailable) || token.verified {
		t.Errorf("got %v", err)
	}
	if _, err := token.configuredPIN(3); err == nil || !strings.Contains(err.Error(), "not tried again") {
		t.Errorf("a second time: %v", err)
	}
}

// TestResetThatFails: if a transaction does not end with the reset that locks the
// token again, the disconnection asks for it.
func TestResetThatFails(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	asked := make(chan []uint32, 2)
	go func() {
		defer close(asked)
		for range 2 {
			message := make([]byte, 8+12)
			if _, err := io.ReadFull(theirs, message); err != nil {
				return
			}
			asked <- []uint32{word(message, 1), word(message, 3)}
			if _, err := theirs.Write(words(0, 0, 0x80100001)); err != nil { // SCARD_F_INTERNAL_ERROR
				return
			}
		}
	}()
	l := &link{daemon: &daemon{conn: ours}}
	if err := l.end(t.Context(), reset); err == nil {
		t.Error("it is not said")
	}
	for _, command := range []uint32{commandEnd, commandDisconnect} {
		if got := <-asked; len(got) != 2 || got[0] != command || got[1] != reset {
			t.Errorf("command %#x: %v", command, got)
		}
	}
}

// TestNobodyWaitsBehindAnEndedContext: what was begun cannot be gone on with.
func TestNobodyWaitsBehindAnEndedContext(t *testing.T) {
	d, err := dial(t.Context(), answerer(t, words(4, 4, 0), words(2, 1, 0), nil))
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.readers(ctx); err == nil || !d.lost {
		t.Errorf("got %v, lost %v", err, d.lost)
	}
	if err := (&link{daemon: d}).end(t.Context(), reset); err != nil {
		t.Errorf("ending a lost link: %v", err)
	}
}
