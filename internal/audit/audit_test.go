package audit_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"plimsoll/internal/audit"
	"plimsoll/internal/fault"
	"plimsoll/internal/verdict"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func decision(id string) *verdict.Decision {
	return &verdict.Decision{
		ID: id, Time: noon, Door: "check", Image: "registry.example.com/app:1", Environment: "production", Outcome: verdict.Denied,
		Reasons: []verdict.Reason{{Rule: "signed", Outcome: verdict.Denied, Class: verdict.Evidence, Message: "nobody signed it"}},
	}
}

func open(t testing.TB, dir string) *audit.Log {
	t.Helper()
	l, err := audit.Open(t.Context(), dir, audit.Config{Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// write makes a log with n decisions in dir, published in steps of at most step.
func write(t testing.TB, dir string, n, step int) {
	t.Helper()
	for i := 0; i < n; {
		l := open(t, dir)
		for j := 0; j < step && i < n; j++ {
			if _, err := l.Record(t.Context(), decision(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
			i++
		}
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func verify(t testing.TB, dir string, since []byte) (*audit.Report, error) {
	t.Helper()
	r, err := audit.OpenReader(t.Context(), dir, "")
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.Verify(t.Context(), since)
}

func read(t testing.TB, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEveryEventIsInTheLog(t *testing.T) {
	for _, tt := range []struct{ n, step int }{{1, 1}, {5, 2}, {255, 100}, {256, 256}, {257, 256}, {600, 7}, {70, 1}} {
		dir := t.TempDir()
		write(t, dir, tt.n, tt.step)
		report, err := verify(t, dir, nil)
		if err != nil || report.Size != int64(tt.n) || report.Pending != 0 {
			t.Fatalf("%d events by %d: %+v, %v", tt.n, tt.step, report, err)
		}
		r, err := audit.OpenReader(t.Context(), dir, "")
		if err != nil {
			t.Fatal(err)
		}
		next := 0
		for e, err := range r.Events(0) {
			if err != nil || e.Index != int64(next) || e.Decision.ID != fmt.Sprint(next) {
				t.Fatalf("event %d of %d: %+v, %v", next, tt.n, e, err)
			}
			next++
		}
		if next != tt.n {
			t.Errorf("read %d events, want %d", next, tt.n)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAnEmptyLogVerifies(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir).Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if report, err := verify(t, dir, nil); err != nil || report.Size != 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestKeyIsPrivateAndKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	write(t, dir, 1, 1)
	before := read(t, dir, "key.pub")
	write(t, dir, 1, 1)
	if string(before) != string(read(t, dir, "key.pub")) {
		t.Error("a second writer made another key")
	}
	for name, want := range map[string]os.FileMode{"key": 0o600, "tile/entries/000.p/2": 0o600, ".": 0o700} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v; want %v", name, info.Mode().Perm(), err, want)
		}
	}
}

func TestReceiptNamesTheLeaf(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, 300, 300)
	l := open(t, dir)
	receipt, err := l.Record(t.Context(), decision("last"))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := audit.OpenReader(t.Context(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	proof, err := r.Prove(receipt.Index)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(append([]byte{0}, proof.Event...))
	if receipt.Leaf != base64.StdEncoding.EncodeToString(sum[:]) || receipt.Index != 300 || receipt.Log != proof.Log {
		t.Errorf("receipt %+v does not name the leaf of %s", receipt, proof.Event)
	}
	proof.Event = []byte(strings.Replace(string(proof.Event), "denied", "allowed", 1))
	v, err := audit.ParseKey(string(read(t, dir, "key.pub")))
	if err != nil {
		t.Fatal(err)
	}
	if err := proof.Check(v); !fault.Is(err, fault.Untrusted) {
		t.Errorf("a changed event was proved: %v", err)
	}
	proof.Leaf = tlog.RecordHash(proof.Event)
	if err := proof.Check(v); !fault.Is(err, fault.Untrusted) {
		t.Errorf("a changed event with its own leaf was proved: %v", err)
	}
	if _, err := r.Prove(301); !fault.Is(err, fault.NotFound) {
		t.Errorf("event 301 was proved: %v", err)
	}
}

func TestPromisedBeforePublished(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	if _, err := l.Record(t.Context(), decision("0")); err != nil {
		t.Fatal(err)
	}
	report, err := verify(t, dir, nil)
	if err != nil || report.Size != 0 || report.Pending != 1 {
		t.Errorf("%+v, %v; want one pending", report, err)
	}
	r, err := audit.OpenReader(t.Context(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Prove(0); !fault.Is(err, fault.Conflict) {
		t.Errorf("proof of an unpublished event: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestTwoWritersAtOnce(t *testing.T) {
	dir := t.TempDir()
	var wait sync.WaitGroup
	const writers, each = 4, 40
	indexes := make(chan int64, writers*each)
	for w := range writers {
		wait.Go(func() {
			l, err := audit.Open(t.Context(), dir, audit.Config{})
			if err != nil {
				t.Error(err)
				return
			}
			for i := range each {
				receipt, err := l.Record(t.Context(), decision(fmt.Sprintf("%d-%d", w, i)))
				if err != nil {
					t.Error(err)
				}
				indexes <- receipt.Index
			}
			if err := l.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	close(indexes)
	seen := map[int64]bool{}
	for i := range indexes {
		seen[i] = true
	}
	report, err := verify(t, dir, nil)
	if err != nil || report.Size != writers*each || len(seen) != writers*each {
		t.Errorf("%+v, %v, %d different receipts", report, err, len(seen))
	}
}

func TestLongDecisionsAreShortenedVisibly(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	d := decision("long")
	for range 1000 {
		d.Reasons[0].Evidence = append(d.Reasons[0].Evidence, strings.Repeat("x", 200))
	}
	if _, err := l.Record(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if len(d.Reasons[0].Evidence) != 1000 {
		t.Error("the door's own decision was shortened")
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := audit.OpenReader(t.Context(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for e, err := range r.Events(0) {
		if err != nil || e.Whole == "" || len(e.Decision.Reasons[0].Evidence) != 16 {
			t.Errorf("%+v, %v", e, err)
		}
	}
}

func TestCancelledContextWritesNothing(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Record(ctx, decision("0")); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if report, err := verify(t, dir, nil); err != nil || report.Size != 0 {
		t.Errorf("%+v, %v; want nothing written", report, err)
	}
}

func BenchmarkRecord(b *testing.B) {
	l, err := audit.Open(b.Context(), b.TempDir(), audit.Config{})
	if err != nil {
		b.Fatal(err)
	}
	d := decision("0")
	for b.Loop() {
		if _, err := l.Record(b.Context(), d); err != nil {
			b.Fatal(err)
		}
	}
	if err := l.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkOneDecision is what a command pays: open, record, publish, close.
func BenchmarkOneDecision(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		l, err := audit.Open(b.Context(), dir, audit.Config{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := l.Record(b.Context(), decision("0")); err != nil {
			b.Fatal(err)
		}
		if err := l.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
