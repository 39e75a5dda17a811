package engine_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll/internal/seal"
)

// TestCopiesCountAsTheContainers: what is copied into a container's tmpfs is memory
// that the container has, not the guard.
func TestCopiesCountAsTheContainers(t *testing.T) {
	h := spaced(t)
	id := h.must(t, "alpha", "run", "-d", "-m", "128m", "--tmpfs", "/t:size=256m", "busybox", "sleep", "600")
	put := func(name string, size int) (int, string) {
		t.Helper()
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o640, Size: int64(size)}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return h.send(t, "alpha", "PUT", "/v1.41/containers/"+id+"/archive?path=/t", "", b.String())
	}
	if status, said := put("little", 20<<20); status != 200 {
		t.Errorf("what fits: %d %s", status, said)
	}
	if status, said := put("much", 224<<20); status == 200 || !strings.Contains(said, "memory may be full") {
		t.Errorf("more than its memory: %d %s", status, said)
	}
	if got := h.must(t, "alpha", "exec", id, "sh", "-c", "ls -A /t; stat -c %s /t/little"); got != fmt.Sprintf("little\n%d", 20<<20) {
		t.Errorf("what did not fit leaves nothing, and the container goes on: %q", got)
	}
	paused := 200
	if groups, err := seal.FindCgroups(); err != nil || groups.Unified() {
		paused = 409 // the helper would be paused too
	}
	h.must(t, "alpha", "pause", id)
	if status, said := h.send(t, "alpha", "HEAD", "/v1.41/containers/"+id+"/archive?path=/t", "", ""); status != paused {
		t.Errorf("paused: %d %s", status, said)
	}
	h.must(t, "alpha", "unpause", id)
	h.must(t, "alpha", "rm", "-f", id)
}

// spaced opens an engine whose containers run in a user namespace of their own.
func spaced(t *testing.T) *harbour {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "runtime")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"+asRuntime+"=1 exec "+self+" \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	d, stop := startEngine(t, "--add-runtime", "spaced="+script, "--default-runtime", "spaced")
	t.Cleanup(stop)
	return open(t, d, newMemory())
}

// TestCopyInsideOfAUserNamespace copies in and out of containers that run in a
// user namespace of their own, as sealed ones do.
func TestCopyInsideOfAUserNamespace(t *testing.T) {
	h := spaced(t)
	canary := filepath.Join(h.dir, "canary")
	if err := os.WriteFile(canary, []byte("untouched"), 0o600); err != nil {
		t.Fatal(err)
	}
	id := h.must(t, "alpha", "run", "-d", "--tmpfs", "/t", "busybox", "sleep", "600")
	exec := func(line string) string { t.Helper(); return h.must(t, "alpha", "exec", id, "sh", "-c", line) }
	exec("mkdir -p /d/sub; echo one > /d/one; chown 1000:1000 /d/one; chmod 4750 /d/one; ln -s one /d/link; ln /d/one /d/hard; echo in > /t/f; ln -s " + canary + " /out; ln -s / /up; ln -s /proc/1/root /magic; ln -s " + h.dir + " /outdir")

	dir := t.TempDir()
	h.must(t, "alpha", "cp", id+":/d", dir)
	if got, err := os.ReadFile(filepath.Join(dir, "d", "one")); err != nil || string(got) != "one\n" {
		t.Errorf("copied out: %q, %v", got, err)
	}
	if got, err := os.Readlink(filepath.Join(dir, "d", "link")); err != nil || got != "one" {
		t.Errorf("a link copied out: %q, %v", got, err)
	}
	h.must(t, "alpha", "cp", id+":/t/f", dir)
	if got, err := os.ReadFile(filepath.Join(dir, "f")); err != nil || string(got) != "in\n" {
		t.Errorf("from a tmpfs, which the engine does not see: %q, %v", got, err)
	}
	_, body := h.send(t, "alpha", "GET", "/v1.41/containers/"+id+"/archive?path=/d", "", "")
	if !strings.Contains(body, "one") {
		t.Errorf("the archive: %q", body)
	}
	h.must(t, "alpha", "cp", filepath.Join(dir, "f"), id+":/d/new")
	if out := exec("cat /d/new"); out != "in" {
		t.Errorf("copied in: %q", out)
	}

	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range []tar.Header{
		{Name: "x", Typeflag: tar.TypeReg, Mode: 0o640, Uid: 1000, Gid: 1000},
		{Name: "esc", Typeflag: tar.TypeSymlink, Linkname: h.dir},
		{Name: "../../../etc/climbed", Typeflag: tar.TypeReg, Mode: 0o644},
	} {
		if err := w.WriteHeader(&e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if status, said := h.send(t, "alpha", "PUT", "/v1.41/containers/"+id+"/archive?path=/d", "", b.String()); status != 200 {
		t.Errorf("copy in: %d %s", status, said)
	}
	if out := exec("stat -c %u:%g:%a /d/x; cat /d/etc/climbed 2>&1; ls /d"); !strings.HasPrefix(out, "1000:1000:640") || strings.Contains(out, "No such") {
		t.Errorf("owner and mode: %s", out)
	}
	for _, uri := range []string{"/out", "/magic/" + canary, "/up/" + canary, "/outdir/canary", "/../../../../.." + canary} {
		if status, said := h.send(t, "alpha", "GET", "/v1.41/containers/"+id+"/archive?path="+uri, "", ""); strings.Contains(said, "untouched") {
			t.Errorf("%s leads out: %d %s", uri, status, said)
		}
	}
	for _, uri := range []string{"/outdir", "/up" + h.dir, "/magic" + h.dir, "/proc/1/root" + h.dir, "/d/esc"} {
		status, _ := h.send(t, "alpha", "PUT", "/v1.41/containers/"+id+"/archive?path="+uri, "", b.String())
		if status == 200 {
			t.Errorf("copied in to %s, which is not there", uri)
		}
	}
	if got, err := os.ReadDir(h.dir); err != nil {
		t.Error(err)
	} else {
		for _, e := range got {
			if e.Name() == "x" || e.Name() == "climbed" {
				t.Errorf("%s came out of the container", e.Name())
			}
		}
	}
	if got, err := os.ReadFile(canary); err != nil || string(got) != "untouched" {
		t.Errorf("the canary: %q, %v", got, err)
	}
	if out, err := h.docker(t, "alpha", "cp", id+":/missing", dir); err == nil || !strings.Contains(out, "Could not find the file /missing") {
		t.Errorf("a file that is not there: %v %s", err, out)
	}
	h.must(t, "alpha", "stop", "-t", "0", id)
	h.must(t, "alpha", "cp", id+":/d", filepath.Join(dir, "stopped"))

	// A folder and a link to the host's change places while they are copied.
	racer := h.must(t, "alpha", "run", "-d", "busybox", "sh", "-c",
		fmt.Sprintf("mkdir /a /real; echo fine > /real/canary; while :; do rm -rf /a; ln -s %s /a; rm /a; mkdir /a; echo fine > /a/canary; done", h.dir))
	for range 40 {
		if _, said := h.send(t, "alpha", "GET", "/v1.41/containers/"+racer+"/archive?path=/a/canary", "", ""); strings.Contains(said, "untouched") {
			t.Fatal("the race was won: a file of the host was copied out")
		}
		h.send(t, "alpha", "PUT", "/v1.41/containers/"+racer+"/archive?path=/a", "", b.String())
	}
	if _, err := os.Stat(filepath.Join(h.dir, "x")); err == nil {
		t.Error("the race was won: a file was copied out onto the host")
	}
	h.must(t, "alpha", "rm", "-f", racer)
}
