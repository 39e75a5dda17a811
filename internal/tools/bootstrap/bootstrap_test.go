package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestEnvironmentIsSourced writes an environment with awkward values and has a
// shell read it.
func TestEnvironmentIsSourced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "env")
	f := &finder{path: []string{"/b", "/a b", "/b"}, env: map[string]string{"PLIMSOLL_TEST": "it's \"$HOME\" `x`"}}
	if err := f.write(path); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `. "$1"; printf '%s\n%s\n' "$PATH" "$PLIMSOLL_TEST"`, "sh", path)
	cmd.Env = []string{"PATH=/bin:/usr/bin", "HOME=/nowhere"}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := "/bin:/usr/bin:/a b:/b\nit's \"$HOME\" `x`\n"; string(out) != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestLook(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	f := &finder{}
	if _, ok := f.look("plimsoll-no-such-program"); ok {
		t.Error("found what is not there")
	}
	if err := os.WriteFile(filepath.Join(dir, "tool"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if path, ok := f.look("tool"); !ok || path != filepath.Join(dir, "tool") || len(f.path) > 0 {
		t.Errorf("found %q, %v, %v", path, ok, f.path)
	}
}

func TestModuleBelow(t *testing.T) {
	root := t.TempDir()
	if _, ok := moduleBelow(root); ok {
		t.Error("found a module in an empty folder")
	}
	dir := filepath.Join(root, "usr/lib/x86_64-linux-gnu/softhsm")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "libsofthsm2.so"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if path, ok := moduleBelow(root); !ok || path != filepath.Join(dir, "libsofthsm2.so") {
		t.Errorf("found %q, %v", path, ok)
	}
}

// TestMovedPathsHaveOneLength: one takes the other's place inside a program.
func TestMovedPathsHaveOneLength(t *testing.T) {
	if len(nodeModules) != len(moved) {
		t.Errorf("%q and %q differ in length", nodeModules, moved)
	}
}

// TestWrapper runs a wrapper: the program sees the private libraries.
func TestWrapper(t *testing.T) {
	dir := t.TempDir()
	r := roots{programs: filepath.Join(dir, "root"), bin: filepath.Join(dir, "bin")}
	if err := wrapper(r, "tool", "printf '%s %s' \"$LD_LIBRARY_PATH\" \"$1\"\n"); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(r.bin, "tool"), "argument").Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := string(out); !strings.HasPrefix(got, r.programs) || !strings.HasSuffix(got, " argument") {
		t.Errorf("got %q", got)
	}
}
