package seal_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
	"plimsoll/internal/seal"
)

// TestPseudoterminalsAreCounted holds a container that takes all that the host
// has: kernel.pty.max counts those of all instances of devpts together.
func TestPseudoterminalsAreCounted(t *testing.T) {
	h := newHost(t)
	var n int
	out := h.must(t, request("ptys", "300"))
	if _, err := fmt.Sscanf(out, "ptys %d", &n); err != nil || n > 257 {
		t.Errorf("a container got: %s", out)
	}
	if n < 64 {
		t.Errorf("too few for a program that needs some: %s", out)
	}
}

// TestAsynchronousIO holds a container that takes fs.aio-max-nr, of which there
// is one on a host.
func TestAsynchronousIO(t *testing.T) {
	h := newHost(t)
	expect(t, h.must(t, request("aio")), "aio: stopped (function not implemented)")
}

// TestDeepFolders has a container leave a chain of folders that is longer than
// the number of files which a process may open, and than any path.
func TestDeepFolders(t *testing.T) {
	h := newHost(t)
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	old := files
	files.Cur, files.Max = 512, old.Max // what os.RemoveAll would need one of for each folder
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &old) }()
	expect(t, h.must(t, request("deep", "5000")), "deep 5000")
	h.clean(t)
}

// TestStandardOutputGivenAway has a container hand its standard output to one
// that lives on: its run must end all the same, with what it wrote itself.
func TestStandardOutputGivenAway(t *testing.T) {
	h := newHost(t)
	team, err := h.ids.Team(t.Context(), "payments")
	if err != nil {
		t.Fatal(err)
	}
	dir, _ := share(t, team.Base)
	with := func(args ...string) seal.Request { return mounting(request(args...), dir, true) }
	holder := h.background(t, with("holdout", "/mnt/socket"))
	defer holder.end(t)
	for range 100 {
		if st, err := os.Stat(filepath.Join(dir, "socket")); err == nil && st.Mode().Perm() == 0o777 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	done := make(chan string, 1)
	go func() {
		r, err := h.run(t, with("giveout", "/mnt/socket"))
		done <- fmt.Sprint(r.out, err)
	}()
	select {
	case out := <-done:
		expect(t, out, "giveout: done", "<nil>")
	case <-time.After(10 * time.Second):
		t.Error("the run does not end while another container has its output")
	}
}

// TestOddUmask runs a container from a shell with a strict umask.
func TestOddUmask(t *testing.T) {
	h := newHost(t)
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	req := request("cat", "/etc/hosts", "/etc/hostname", "--", "write", "/tmp/x")
	req.User = "ann"
	if err := os.Chmod(filepath.Join(h.layer, "tmp"), fs.ModeSticky|0o777); err != nil {
		t.Fatal(err)
	}
	expect(t, h.must(t, req), "localhost", "cat: done", "write: done")
}

// TestWorkdirThroughALink starts in a folder that the image links to the
// runtime's descriptors (CVE-2024-21626).
func TestWorkdirThroughALink(t *testing.T) {
	h := newHost(t)
	for _, runtime := range []string{"runc", "crun"} {
		for fd := 3; fd < 12; fd++ {
			name := fmt.Sprintf("fd%d", fd)
			if err := os.Symlink(fmt.Sprintf("/proc/self/fd/%d", fd), filepath.Join(h.layer, name)); err != nil && runtime == "runc" {
				t.Fatal(err)
			}
			for _, dir := range []string{"/" + name, "/" + name + "/../../../../../../.."} {
				req := request("whoami", "--", "ls", ".", "--", "ls", "../../../../../../..")
				req.Profile.Runtime, req.Image.WorkingDir = runtime, dir
				r, err := h.run(t, req)
				if strings.Contains(r.out, "boot") || strings.Contains(r.out, "plimsoll") {
					t.Errorf("%s in %s: %v: %s", runtime, dir, err, r.out)
				}
			}
		}
	}
	h.clean(t)
}

// TestLinksWhereTheRuntimeMounts has an image put links where the runtime is
// going to mount.
func TestLinksWhereTheRuntimeMounts(t *testing.T) {
	canary := filepath.Join(t.TempDir(), "canary")
	if err := os.WriteFile(canary, []byte("untouched"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, links := range map[string]map[string]string{
		"hosts to proc":    {"etc/hosts": "/proc/sys/kernel/core_pattern"},
		"hosts to host":    {"etc/hosts": canary},
		"hosts upwards":    {"etc/hosts": "../../../../../../../../.." + canary},
		"hosts to itself":  {"etc/hosts": "hosts"},
		"etc to proc":      {"etc": "/proc/self"},
		"dev to host":      {"dev": filepath.Dir(canary)},
		"proc to etc":      {"proc": "/etc"},
		"sys upwards":      {"sys": "../../../.."},
		"proc to itself":   {"proc": "proc"},
		"hostname to null": {"etc/hostname": "/dev/null"},
		"mount point":      {"mnt": "/proc/self/fd"},
	} {
		h := newHost(t)
		for link, target := range links {
			at := filepath.Join(h.layer, link)
			if err := os.RemoveAll(at); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(target, at); err != nil {
				t.Fatal(err)
			}
		}
		dir, secret := share(t, 0)
		for _, runtime := range []string{"runc", "crun"} {
			req := mounting(request("cat", "/proc/self/uid_map", "--", "write", "/etc/hosts", "--", "write", "/mnt/x", "--", "ls", "/dev"), dir, true)
			req.Profile.Runtime = runtime
			r, err := h.run(t, req)
			if err != nil && fault.Is(err, fault.Internal) {
				t.Errorf("%s: %v", name, err)
			}
			if r.out != "" && !strings.Contains(r.out, "1879048192") {
				t.Errorf("%s: it ran with another /proc: %s", name, r.out)
			}
			untouched(t, canary)
			untouched(t, secret)
		}
		h.clean(t)
	}
}
