package scan

import (
	"bytes"
	"io"
	"os"
	"testing"

	"plimsoll/internal/fault"
)

func TestSpill(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	s := newSpill()
	t.Cleanup(s.Close)
	pattern := bytes.Repeat([]byte("0123456789abcdef"), spillMemory/16+1000)
	for _, n := range []int{0, 1, spillMemory - 1, spillMemory, spillMemory + 1, len(pattern), 10, spillMemory + 7} {
		r, err := s.Fill(bytes.NewReader(pattern[:n]))
		if err != nil {
			t.Fatal(err)
		}
		if r.Size() != int64(n) {
			t.Errorf("size = %d, want %d", r.Size(), n)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, pattern[:n]) {
			t.Errorf("%d bytes came back as %d others (%v)", n, len(got), err)
		}
	}
	left, err := os.ReadDir(temp)
	if s.file == nil || len(left) != 0 || err != nil {
		t.Errorf("the temporary file has a name or was never made: %v %v", left, err)
	}
}

func TestSpillIsBounded(t *testing.T) {
	s := newSpill()
	s.max = spillMemory + 100
	t.Cleanup(s.Close)
	if _, err := s.Fill(bytes.NewReader(make([]byte, s.max))); err != nil {
		t.Errorf("as large as allowed: %v", err)
	}
	if _, err := s.Fill(bytes.NewReader(make([]byte, s.max+1))); !fault.Is(err, fault.Invalid) {
		t.Errorf("one byte more: err = %v, want invalid", err)
	}
}

func TestSpillPassesOnTheStreamsError(t *testing.T) {
	s := newSpill()
	t.Cleanup(s.Close)
	for _, n := range []int{10, spillMemory + 10} {
		if _, err := s.Fill(io.MultiReader(bytes.NewReader(make([]byte, n)), broken{})); !fault.Is(err, fault.Untrusted) {
			t.Errorf("after %d bytes: err = %v, want untrusted", n, err)
		}
	}
}
