//go:build unix

package durable_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
)

func TestWriteFileReplacesWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.json")
	for _, want := range []string{"a longer first text", "short"} {
		if err := durable.WriteFile(path, []byte(want), 0o640); err != nil {
			t.Fatal(err)
		}
		got, err := durable.ReadFile(path, 100)
		if err != nil || string(got) != want {
			t.Errorf("read %q, %v; want %q", got, err, want)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("left in the folder: %v, %v", names, err)
	}
	if _, err := durable.ReadFile(path, 4); !fault.Is(err, fault.Invalid) {
		t.Errorf("a file over the limit: %v", err)
	}
	if _, err := durable.ReadFile(filepath.Join(dir, "none"), 4); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if err := durable.WriteFile(filepath.Join(dir, "none", "x"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder: %v", err)
	}
}

func TestLockIsExclusive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	l, err := durable.Acquire(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := durable.TryAcquire(path); second != nil || err != nil {
		t.Fatalf("a held lock was given: %v, %v", second, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := durable.Acquire(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting ended with %v", err)
	}
	done := make(chan error, 1)
	go func() {
		l, err := durable.Acquire(t.Context(), path)
		if err == nil {
			err = l.Release()
		}
		done <- err
	}()
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("after release: %v", err)
	}
}

func TestLockFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
	if l, err := durable.TryAcquire(filepath.Join(dir, "lock")); err == nil {
		t.Errorf("a link was followed: %v", l)
	}
}

func TestBelowARoot(t *testing.T) {
	path := t.TempDir()
	dir, err := os.OpenRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := dir.Mkdir("sub", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteIn(dir, "sub/file", []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := durable.ReadFile(filepath.Join(path, "sub/file"), 10); err != nil || string(got) != "text" {
		t.Errorf("read %q, %v", got, err)
	}
	if names, err := os.ReadDir(filepath.Join(path, "sub")); err != nil || len(names) != 1 {
		t.Errorf("left in the folder: %v, %v", names, err)
	}
	if err := os.Symlink(t.TempDir(), filepath.Join(path, "out")); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteIn(dir, "out/file", nil, 0o600); err == nil {
		t.Error("a link led out of the folder")
	}
	if err := durable.WriteIn(dir, "../file", nil, 0o600); err == nil {
		t.Error("two dots led out of the folder")
	}
	l, err := durable.AcquireIn(t.Context(), dir, "lock")
	if err != nil {
		t.Fatal(err)
	}
	if second, err := durable.TryAcquire(filepath.Join(path, "lock")); second != nil || err != nil {
		t.Errorf("a held lock was given: %v, %v", second, err)
	}
	if err := l.Release(); err != nil {
		t.Error(err)
	}
}
