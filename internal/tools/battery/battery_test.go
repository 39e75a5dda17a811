//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"plimsoll/internal/tools/engines"
)

var update = flag.Bool("update", false, "write the table of what was observed")

const source = "../../.."

// lacks skips a test, or fails it in CI.
func lacks(t *testing.T, what ...string) {
	t.Helper()
	if len(what) == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("missing: %v", what)
	}
	t.Skipf("missing: %v", what)
}

var shared = sync.OnceValues(func() (*lab, error) {
	dir, err := os.MkdirTemp("", "battery-")
	if err != nil {
		return nil, err
	}
	made = dir
	return newLab(context.Background(), source, dir, func(string, ...any) {})
})

var made string // folder of the shared lab

func TestMain(m *testing.M) {
	code := m.Run()
	if made != "" {
		if err := os.RemoveAll(made); err != nil {
			code = 1
		}
	}
	os.Exit(code)
}

// laboratory is what engines are started from.
func laboratory(t *testing.T, programs ...string) *lab {
	t.Helper()
	if os.Getenv("PLIMSOLL_BATTERY") == "" {
		t.Skip("PLIMSOLL_BATTERY is not set: make battery sets it")
	}
	lacks(t, engines.Missing(append(programs, "go", "tar")...)...)
	l, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// open starts a set-up that ends with the test.
func open(t *testing.T, l *lab, name string, flags ...string) *setup {
	t.Helper()
	if _, err := os.Stat(source + "/cmd/plimsoll-runtime"); name == sealed && errors.Is(err, fs.ErrNotExist) {
		t.Fatal("there is no plimsoll-runtime")
	}
	s, err := l.setup(t.Context(), name, flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("dockerd:\n%s", s.Host.Log("dockerd"))
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// background is for what is done when a test's own context has ended.
func (b box) background() context.Context { return context.WithoutCancel(b.Context()) }

// owner returns who owns a file on disk.
func (b box) owner(path string) string {
	b.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		b.Fatal(err)
	}
	return strconv.Itoa(int(info.Sys().(*syscall.Stat_t).Uid))
}

// shifted is the ID on disk of a container's: the same, except with --userns-remap.
func (b box) shifted(id int) string {
	if b.name == remap {
		id += engines.RemapBase
	}
	return strconv.Itoa(id)
}

func result(out string, code int) engines.Result { return engines.Result{Out: out, Code: code} }

// tarOf returns a command that writes a folder as an archive of root's.
func tarOf(t *testing.T, dir string) *exec.Cmd {
	return exec.CommandContext(t.Context(), "tar", "-C", dir, "--owner=0", "--group=0", "-c", ".")
}
