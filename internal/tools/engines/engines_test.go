//go:build linux

package engines_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll/internal/tools/engines"
)

// needs skips a test on a machine that lacks something; in CI that is a failure.
func needs(t *testing.T) {
	t.Helper()
	missing := engines.Missing()
	switch {
	case os.Getenv("PLIMSOLL_BATTERY") == "":
		t.Skip("PLIMSOLL_BATTERY is not set: make battery sets it")
	case len(missing) > 0 && os.Getenv("CI") == "true":
		t.Fatalf("missing: %v", missing)
	case len(missing) > 0:
		t.Skipf("missing: %v", missing)
	}
}

func TestEngineRunsAndLeavesNothing(t *testing.T) {
	needs(t)
	before := machine(t)
	h, err := engines.NewHost(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	e, err := engines.Start(t.Context(), h, engines.Options{})
	if err != nil {
		t.Fatal(err)
	}
	busybox, err := engines.Busybox(t.Context(), "../../../.cache", t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	var root bytes.Buffer
	if err := errors.Join(engines.Image(t.Context(), &root, busybox), e.Import(t.Context(), "box", root.Bytes())); err != nil {
		t.Fatal(err)
	}
	if r := e.Docker(t.Context(), "run", "--rm", "box", "echo", "hello"); r.Out != "hello\n" {
		t.Errorf("run: %+v\n%s", r, h.Log("dockerd"))
	}
	if r := e.Docker(t.Context(), "run", "-d", "--restart=always", "-v", "left:/left", "box", "sleep", "1000"); r.Code != 0 {
		t.Errorf("run: %+v", r)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(h.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("folder is left: %v", err)
	}
	if left, _ := filepath.Glob("/sys/fs/cgroup/*" + h.Cgroup); len(left) > 0 {
		t.Errorf("control groups are left: %v", left)
	}
	for _, what := range []string{"mounts", "links"} {
		if after := machine(t)[what]; strings.Contains(after, h.Dir) || (what == "links" && after != before[what]) {
			t.Errorf("%s before:\n%s\nafter:\n%s", what, before[what], after)
		}
	}
}

// machine reads what an engine could change on the machine.
func machine(t *testing.T) map[string]string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	links, err := filepath.Glob("/sys/class/net/docker*")
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"mounts": string(mounts), "links": strings.Join(links, " ")}
}
