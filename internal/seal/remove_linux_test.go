package seal

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestRemoveTree(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	outside := t.TempDir()
	kept := filepath.Join(outside, "kept")
	deepest := filepath.Join(home, "a", "b", "c", "d")
	err := errors.Join(
		os.MkdirAll(deepest, 0o755), os.MkdirAll(filepath.Join(home, ".0", ".1", "x"), 0o000|0o700), os.MkdirAll(filepath.Join(home, ".1", "y"), 0o700),
		os.WriteFile(kept, nil, 0o600), os.Symlink(outside, filepath.Join(deepest, "link")), os.Symlink(outside, filepath.Join(home, "link")),
		os.WriteFile(filepath.Join(deepest, "file"), nil, 0o600), os.WriteFile(filepath.Join(home, "lock"), nil, 0o600),
		os.Mkdir(filepath.Join(home, "a", "lock"), 0o700), os.Mkdir(filepath.Join(home, "empty"), 0o700),
	)
	if err != nil {
		t.Fatal(err)
	}
	if err := removeTree(home); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(home); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("what a link led to is gone: %v", err)
	}
	if err := removeTree(home); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

func TestRemoveTreeBesideAnother(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	for _, dir := range []string{"a/b/c", "d/e/f", "g/h/i/j/k", "l/m"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if err := removeTree(home); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
}
