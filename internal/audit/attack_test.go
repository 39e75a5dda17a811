package audit_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"plimsoll/internal/audit"
	"plimsoll/internal/fault"
	"plimsoll/internal/verdict"
)

// TestByteFlippedAnywhere changes every byte of every file that Verify reads.
func TestByteFlippedAnywhere(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, 3, 2)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "key" {
			return err
		}
		whole := read(t, path, "")
		for i := range whole {
			for _, flip := range []byte{1, 0x80} {
				b := bytes.Clone(whole)
				b[i] ^= flip
				if err := os.WriteFile(path, b, 0o600); err != nil {
					return err
				}
				if _, err := verify(t, dir, nil); err == nil {
					t.Errorf("%s: byte %d changed by %#x was not seen", path, i, flip)
				}
			}
		}
		return os.WriteFile(path, whole, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify(t, dir, nil); err != nil {
		t.Error(err)
	}
}

// TestByteFlippedInThePromised does the same to a journal that a crash left.
func TestByteFlippedInThePromised(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	for i := range 3 {
		if _, err := l.Record(t.Context(), decision(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	whole := read(t, dir, "journal")
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 1
		if err := os.WriteFile(filepath.Join(copied, "journal"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := verify(t, copied, nil); !fault.Is(err, fault.Untrusted) {
			t.Errorf("byte %d changed was not seen: %v", i, err)
		}
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// entries returns the entries of the log's only bundle, of n.
func entries(t *testing.T, dir string, n int) [][]byte {
	t.Helper()
	b := read(t, dir, fmt.Sprintf("tile/entries/000.p/%d", n))
	var all [][]byte
	for len(b) > 0 {
		end := 2 + int(binary.BigEndian.Uint16(b))
		all, b = append(all, b[2:end]), b[end:]
	}
	return all
}

// forge replaces the history by another of fewer than 256 entries, signed with
// the log's own key, as its owner could.
func forge(t *testing.T, dir string, forged [][]byte) {
	t.Helper()
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var out []tlog.Hash
		for _, i := range indexes {
			out = append(out, hashes[i])
		}
		return out, nil
	})
	var bundle, tile []byte
	for i, e := range forged {
		more, err := tlog.StoredHashes(int64(i), e, reader)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, more...)
		bundle = append(binary.BigEndian.AppendUint16(bundle, uint16(len(e))), e...)
		tile = append(tile, more[0][:]...)
	}
	root, err := tlog.TreeHash(int64(len(forged)), reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(strings.TrimSpace(string(read(t, dir, "key"))))
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", signer.Name(), len(forged), root)}, signer)
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, "checkpoint", checkpoint)
	for _, folder := range []string{"tile/entries/000.p", "tile/0/000.p"} {
		if err := os.RemoveAll(filepath.Join(dir, folder)); err != nil {
			t.Fatal(err)
		}
	}
	put(t, dir, fmt.Sprintf("tile/entries/000.p/%d", len(forged)), bundle)
	put(t, dir, fmt.Sprintf("tile/0/000.p/%d", len(forged)), tile)
}

func put(t *testing.T, dir, name string, b []byte) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRewrittenAndSignedAgain plays the owner, who holds the key. Without an
// older checkpoint a truncated or rewritten log is a valid log; with one it is
// not.
func TestRewrittenAndSignedAgain(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(all [][]byte) [][]byte
		want  string
		alone string // what is seen without an older checkpoint
	}{
		{"truncated", func(all [][]byte) [][]byte { return all[:4] }, "cut short", ""},
		{"rewritten", func(all [][]byte) [][]byte {
			all[2] = bytes.Replace(all[2], []byte("denied"), []byte("allowed"), 1)
			return all
		}, "rewritten", ""},
		{"rewritten and longer", func(all [][]byte) [][]byte {
			all[2] = bytes.Replace(all[2], []byte("denied"), []byte("allowed"), 1)
			return append(all, bytes.Replace(all[5], []byte(`"index":5`), []byte(`"index":6`), 1))
		}, "rewritten", ""},
		{"reordered", func(all [][]byte) [][]byte {
			all[1], all[2] = all[2], all[1]
			return all
		}, "event 2 stands in the place of event 1", "event 2 stands in the place of event 1"},
		{"inserted", func(all [][]byte) [][]byte {
			return append(append(append([][]byte{}, all[:3]...), all[2]), all[3:]...)
		}, "event 2 stands in the place of event 3", "event 2 stands in the place of event 3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, 6, 6)
			since := read(t, dir, "checkpoint")
			forge(t, dir, tt.spoil(entries(t, dir, 6)))
			_, err := verify(t, dir, nil)
			if tt.alone == "" && err != nil || tt.alone != "" && !strings.Contains(fmt.Sprint(err), tt.alone) {
				t.Errorf("alone: %v, want %q", err, tt.alone)
			}
			_, err = verify(t, dir, since)
			if !fault.Is(err, fault.Untrusted) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("with an older checkpoint: %v, want %q", err, tt.want)
			}
		})
	}
}

func TestTruncated(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, 6, 6)
	name := "tile/entries/000.p/6"
	whole := read(t, dir, name)
	put(t, dir, name, whole[:len(whole)-10])
	if _, err := verify(t, dir, nil); !fault.Is(err, fault.Untrusted) || !strings.Contains(err.Error(), "event 5") {
		t.Errorf("got %v, want event 5 named", err)
	}
}

func TestFirstBadEventIsNamed(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, 300, 300)
	b := read(t, dir, "tile/entries/001.p/44")
	put(t, dir, "tile/entries/001.p/44", bytes.Replace(b, []byte(`"id":"260"`), []byte(`"id":"261"`), 1))
	if _, err := verify(t, dir, nil); !fault.Is(err, fault.Untrusted) || !strings.Contains(err.Error(), "event 260 ") {
		t.Errorf("got %v, want event 260 named", err)
	}
}

func TestHistoryThatGrewIsConsistent(t *testing.T) {
	dir := t.TempDir()
	var checkpoints [][]byte
	for range 5 {
		write(t, dir, 70, 70)
		checkpoints = append(checkpoints, read(t, dir, "checkpoint"))
	}
	for i, since := range checkpoints {
		report, err := verify(t, dir, since)
		if err != nil || *report.Since != int64(70*(i+1)) {
			t.Errorf("since %d: %+v, %v", i, report, err)
		}
	}
}

// TestTooLongToRecord has a registry, a caller and a rule say so much that the
// denial would not fit: it must be in the log all the same.
func TestTooLongToRecord(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	d := decision("long")
	d.Image, d.Reasons = strings.Repeat("é", 1<<16), nil
	for range 120 {
		d.Reasons = append(d.Reasons, verdict.Reason{
			Rule: strings.Repeat("r", 63), Outcome: verdict.Denied, Class: verdict.Rule,
			Message: strings.Repeat("\x1b\n\xff", 1<<12), Hint: strings.Repeat("h", 1<<12), Evidence: []string{strings.Repeat("e", 1<<16)},
		})
	}
	if _, err := l.Record(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := verify(t, dir, nil); err != nil {
		t.Error(err)
	}
	r, err := audit.OpenReader(t.Context(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for e, err := range r.Events(0) {
		if err != nil || e.Whole == "" || len(e.Decision.Reasons) != 120 || e.Decision.Outcome != d.Outcome {
			t.Errorf("%+v, %v", e, err)
		}
	}
}

func TestKeyThatOthersCanRead(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir).Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "key"), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Open(t.Context(), dir, audit.Config{}); !fault.Is(err, fault.Untrusted) || fault.HintOf(err) == "" {
		t.Errorf("got %v", err)
	}
}

func TestRemovedVerifierKey(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir).Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "key.pub")); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.OpenReader(t.Context(), dir, ""); !fault.Is(err, fault.Untrusted) {
		t.Errorf("got %v", err)
	}
}

func TestAnotherLogsCheckpoint(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	write(t, dir, 3, 3)
	write(t, other, 3, 3)
	if _, err := verify(t, dir, read(t, other, "checkpoint")); !fault.Is(err, fault.Untrusted) {
		t.Errorf("another log's checkpoint was taken: %v", err)
	}
	r, err := audit.OpenReader(t.Context(), dir, string(read(t, other, "key.pub")))
	if !fault.Is(err, fault.Untrusted) {
		t.Errorf("a log that the pinned key did not sign was opened: %v, %v", r, err)
	}
}

// TestNothingBeginsBesideWhatIsLeft removes what proves the past: no writer may
// quietly begin again.
func TestNothingBeginsBesideWhatIsLeft(t *testing.T) {
	for _, name := range []string{"key", "checkpoint", "key.pub", "tile/0/000.p/3"} {
		dir := t.TempDir()
		write(t, dir, 3, 3)
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		l, err := audit.Open(t.Context(), dir, audit.Config{})
		if err != nil {
			continue
		}
		if _, err = l.Record(t.Context(), decision("x")); err == nil {
			err = l.Close(t.Context())
		}
		if err == nil {
			t.Errorf("without %s the log went on", name)
		}
	}
}
