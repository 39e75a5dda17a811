package forge_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"plimsoll/internal/audit"
	"plimsoll/internal/tools/forge"
	"plimsoll/internal/verdict"
)

// TestCutShort cuts a real log: it verifies alone, and not with the checkpoint
// from before.
func TestCutShort(t *testing.T) {
	dir := t.TempDir()
	l, err := audit.Open(t.Context(), dir, audit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if _, err := l.Record(t.Context(), &verdict.Decision{ID: fmt.Sprint(i), Outcome: verdict.Denied}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	since, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	if err := forge.CutShort(dir, 5); err == nil {
		t.Error("five events cut to five")
	}
	if err := forge.CutShort(dir, 2); err != nil {
		t.Fatal(err)
	}
	if err := verify(t, dir, nil); err != nil {
		t.Errorf("alone: %v", err)
	}
	if err := verify(t, dir, since); err == nil {
		t.Error("the older checkpoint did not tell")
	}
}

func verify(t *testing.T, dir string, since []byte) error {
	t.Helper()
	r, err := audit.OpenReader(t.Context(), dir, "")
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = r.Verify(t.Context(), since)
	return err
}
