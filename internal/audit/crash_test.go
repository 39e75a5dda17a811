package audit_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"plimsoll/internal/audit"
	"plimsoll/internal/fault"
)

// TestMain turns this binary into a writer when it is started as one: it records
// decisions until it is killed and prints each receipt.
func TestMain(m *testing.M) {
	dir := os.Getenv("AUDIT_TEST_WRITER")
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := writeForEver(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func writeForEver(dir string) error {
	ctx := context.Background()
	for round := 0; ; round++ {
		l, err := audit.Open(ctx, dir, audit.Config{})
		if err != nil {
			return err
		}
		for range 1 + round%7 {
			r, err := l.Record(ctx, decision(fmt.Sprint(round)))
			if err != nil {
				return err
			}
			fmt.Printf("%d %s\n", r.Index, r.Leaf)
		}
		if err := l.Close(ctx); err != nil {
			return err
		}
	}
}

// TestKilledInTheMiddle kills a writer again and again. Every receipt that it
// gave must be in the log.
func TestKilledInTheMiddle(t *testing.T) {
	dir := t.TempDir()
	promised := map[int64]string{}
	for round := range 25 {
		for index, leaf := range killWriter(t, dir, time.Duration(5+3*round)*time.Millisecond) {
			if had, ok := promised[index]; ok && had != leaf {
				t.Fatalf("index %d was promised twice", index)
			}
			promised[index] = leaf
		}
	}
	l := open(t, dir)
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	report, err := verify(t, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(promised) == 0 {
		t.Fatal("no writer lived long enough to promise anything")
	}
	r, err := audit.OpenReader(t.Context(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for index, leaf := range promised {
		proof, err := r.Prove(index)
		if err != nil {
			t.Fatalf("event %d of %d was promised and is not there: %v", index, report.Size, err)
		}
		if text, _ := proof.Leaf.MarshalJSON(); string(text) != strconv.Quote(leaf) {
			t.Errorf("event %d is not the one that was promised", index)
		}
	}
	t.Logf("%d promised, %d in the log", len(promised), report.Size)
}

// killWriter runs a writer, kills it after a while, and returns its receipts.
func killWriter(t *testing.T, dir string, after time.Duration) map[int64]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "AUDIT_TEST_WRITER="+dir)
	var failed bytes.Buffer
	cmd.Stderr = &failed
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	receipts := map[int64]string{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		index, leaf, ok := strings.Cut(lines.Text(), " ")
		n, err := strconv.ParseInt(index, 10, 64)
		if ok && err == nil && len(leaf) == 44 {
			receipts[n] = leaf
		}
	}
	_ = cmd.Wait()
	if failed.Len() > 0 {
		t.Fatalf("writer: %s", failed.String())
	}
	return receipts
}

// TestTornTail leaves what a crash in the middle of a write leaves: the next
// writer removes it and says so, and no promised event is lost.
func TestTornTail(t *testing.T) {
	line := func() []byte {
		dir := t.TempDir()
		l := open(t, dir)
		if _, err := l.Record(t.Context(), decision("0")); err != nil {
			t.Fatal(err)
		}
		b := read(t, dir, "journal")
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		return b
	}()
	for name, tail := range map[string][]byte{
		"half a line":       line[:len(line)/2],
		"without a newline": line[:len(line)-1],
		"zeros":             make([]byte, 100),
		"zeros and newline": append(make([]byte, 100), '\n'),
	} {
		dir := t.TempDir()
		write(t, dir, 2, 2)
		put(t, dir, "journal", tail)
		if _, err := verify(t, dir, nil); !fault.Is(err, fault.Untrusted) {
			t.Errorf("%s: not seen: %v", name, err)
		}
		write(t, dir, 1, 1)
		r, err := audit.OpenReader(t.Context(), dir, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Verify(t.Context(), nil); err != nil || r.Size() != 4 {
			t.Errorf("%s: %d events, %v; want 2, the recovery and 1", name, r.Size(), err)
		}
		for e, err := range r.Events(2) {
			if err != nil || e.Index == 2 && (e.Kind != audit.Recovered || e.Cut.Bytes != int64(len(tail))) {
				t.Errorf("%s: %+v, %v", name, e, err)
			}
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestBrokenInTheMiddle is no crash: promised bytes were changed. Nothing is cut
// off and nothing more is written.
func TestBrokenInTheMiddle(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	for i := range 3 {
		if _, err := l.Record(t.Context(), decision(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	b := read(t, dir, "journal")
	b[60] ^= 1
	put(t, dir, "journal", b)
	if _, err := audit.Open(t.Context(), dir, audit.Config{}); !fault.Is(err, fault.Untrusted) {
		t.Errorf("got %v", err)
	}
	if !bytes.Equal(b, read(t, dir, "journal")) {
		t.Error("the evidence was removed")
	}
}

// TestCrashBeforeTheJournalWasEmptied repeats events that are under the
// checkpoint already: they count once.
func TestCrashBeforeTheJournalWasEmptied(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	for i := range 3 {
		if _, err := l.Record(t.Context(), decision(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	b := read(t, dir, "journal")
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "journal", b)
	write(t, dir, 1, 1)
	if report, err := verify(t, dir, nil); err != nil || report.Size != 4 {
		t.Errorf("%+v, %v; want 4", report, err)
	}
}

// TestFullDisk fills a small file system: what was promised stays, what could
// not be written is refused, and the log goes on when there is room again.
func TestFullDisk(t *testing.T) {
	dir := tmpfs(t, "size=1m")
	l, err := audit.Open(t.Context(), filepath.Join(dir, "audit"), audit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 800<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	promised := 0
	for range 2000 {
		if _, err = l.Record(t.Context(), decision("x")); err != nil {
			break
		}
		promised++
	}
	if !fault.Is(err, fault.Unavailable) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("after %d events: %v, want a full disk", promised, err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	report, err := verify(t, filepath.Join(dir, "audit"), nil)
	if err != nil || report.Size != int64(promised) {
		t.Errorf("%+v, %v; want %d events", report, err, promised)
	}
}

// tmpfs mounts a small file system, which only root may.
func tmpfs(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", dir).CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("mount a tmpfs: %v\n%s", err, out)
		}
		t.Skipf("mounting a tmpfs needs root: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	return dir
}
