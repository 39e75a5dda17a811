package seal_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
	"plimsoll/internal/profile"
	"plimsoll/internal/seal"
)

// share makes a folder of the host that a team may mount: root's, with a file
// that only root may write.
func share(t *testing.T, owner uint32) (dir, secret string) {
	t.Helper()
	dir = t.TempDir()
	secret = filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("untouched"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chown(dir, int(owner), int(owner))); err != nil {
		t.Fatal(err)
	}
	return dir, secret
}

func mounting(req seal.Request, dir string, writable bool) seal.Request {
	req.Profile.Mounts = []profile.Mount{{Path: dir + "/**", Writable: writable}}
	req.Mounts = []seal.Mount{{Source: dir, Target: "/mnt", ReadOnly: !writable}}
	return req
}

func expect(t *testing.T, out string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if !strings.Contains(out, l) {
			t.Errorf("no %q in:\n%s", l, out)
		}
	}
}

func untouched(t *testing.T, file string) {
	t.Helper()
	if b, err := os.ReadFile(file); err != nil || string(b) != "untouched" {
		t.Errorf("%s is %q, %v", file, b, err)
	}
}

// TestPlainRuncWritesHostFiles is the contrast to the next test: with the same
// mount, root in a container of runc alone is root of the host's files.
func TestPlainRuncWritesHostFiles(t *testing.T) {
	h := newHost(t)
	_, secret := share(t, 0)
	out := plainRunc(t, h, filepath.Dir(secret), "write", "/mnt/secret")
	expect(t, out, "write: done")
	if b, err := os.ReadFile(secret); err != nil || string(b) != "written" {
		t.Errorf("plain runc left %q, %v", b, err)
	}
}

// plainRunc runs the attacker as engines do without user namespaces.
func plainRunc(t testing.TB, h *host, bind string, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	spec := specs.Spec{
		Version: "1.0.2", Root: &specs.Root{Path: h.layer},
		Process: &specs.Process{Args: append([]string{"/a"}, args...), Cwd: "/", Env: []string{"PATH=/"}},
		Mounts:  []specs.Mount{{Destination: "/proc", Type: "proc", Source: "proc"}},
		Linux:   &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: "pid"}, {Type: "mount"}, {Type: "ipc"}, {Type: "uts"}, {Type: "network"}}},
	}
	if bind != "" {
		spec.Mounts = append(spec.Mounts, specs.Mount{Destination: "/mnt", Type: "bind", Source: bind, Options: []string{"bind"}})
	}
	b, err := json.Marshal(spec)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "config.json"), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	id := fmt.Sprintf("plimsoll-test-%d-%d", os.Getpid(), time.Now().UnixNano())
	out, err := exec.CommandContext(t.Context(), "runc", "--root", filepath.Join(dir, "state"), "run", "--bundle", dir, id).CombinedOutput()
	if err != nil {
		t.Fatalf("plain runc: %v: %s", err, out)
	}
	return string(out)
}

func TestHostFilesThroughAMount(t *testing.T) {
	h := newHost(t)
	dir, secret := share(t, 0)
	out := h.must(t, mounting(request("write", "/mnt/secret", "--", "cat", "/mnt/secret", "--", "write", "/mnt/new", "--", "stat", "/mnt/secret"), dir, true))
	expect(t, out, "write: stopped (open /mnt/secret: permission denied)", "cat: stopped", "write: stopped (open /mnt/new: permission denied)", "65534:65534")
	untouched(t, secret)
	if _, err := os.Stat(filepath.Join(dir, "new")); err == nil {
		t.Error("a file was made in root's folder")
	}
	h.clean(t)
}

func TestTeamOwnsWhatItWritesThroughAMount(t *testing.T) {
	h := newHost(t)
	team, err := h.ids.Team(t.Context(), "payments")
	if err != nil {
		t.Fatal(err)
	}
	dir, secret := share(t, team.Base)
	out := h.must(t, mounting(request("write", "/mnt/new", "--", "write", "/mnt/secret", "--", "chmod", "/mnt/new", "4755", "--", "creatsuid", "/mnt/su"), dir, true))
	expect(t, out, "write: done", "write: stopped (open /mnt/secret", "chmod: stopped (operation not permitted)", "creatsuid: stopped (operation not permitted)")
	untouched(t, secret)
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, "new"), &st); err != nil || st.Uid != team.Base || st.Gid != team.Base || st.Mode&0o6000 != 0 {
		t.Errorf("on disk the file belongs to %d:%d with mode %o, %v; the team is %s", st.Uid, st.Gid, st.Mode, err, team)
	}
	if out := h.must(t, mounting(request("write", "/mnt/new"), dir, false)); !strings.Contains(out, "read-only file system") {
		t.Errorf("a read-only mount was written to: %s", out)
	}
}

// TestSetuidBinaryOnAMount holds the attack in which a container that may set
// setuid bits leaves a program on a shared folder for the host to run: it is
// the team's, not root's.
func TestSetuidBinaryOnAMount(t *testing.T) {
	h := newHost(t)
	team, err := h.ids.Team(t.Context(), "payments")
	if err != nil {
		t.Fatal(err)
	}
	dir, _ := share(t, team.Base)
	req := mounting(request("write", "/mnt/su", "--", "chmod", "/mnt/su", "4755"), dir, true)
	req.Profile.SetuidFiles = true
	expect(t, h.must(t, req), "chmod: done")
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, "su"), &st); err != nil || st.Uid != team.Base || st.Mode&0o4000 == 0 {
		t.Errorf("on disk: %d, %o, %v", st.Uid, st.Mode, err)
	}
}

func TestAttacksFromWithin(t *testing.T) {
	h := newHost(t)
	everything := request()
	everything.Profile.Capabilities = []string{"DAC_OVERRIDE", "MKNOD", "NET_RAW", "SYS_ADMIN", "SYS_CHROOT", "SYS_PTRACE"}
	everything.Profile.SetuidFiles = true
	bare := request()
	attacks := []struct{ name, args, want string }{
		{"mknod of a block device", "mknod /blk", "mknod: stopped (operation not permitted)"},
		{"mount", "mount /tmp", "mount: stopped (operation not permitted)"},
		{"release_agent", "cgroup", "cgroup: stopped (operation not permitted)"},
		{"core_pattern", "openw /proc/sys/kernel/core_pattern", "openw: stopped"},
		{"sysrq", "openw /proc/sysrq-trigger", "openw: stopped"},
		{"io_uring", "uring", "uring: stopped (operation not permitted)"},
		{"keyring search", "keyget x", "keyget: stopped (operation not permitted)"},
		{"keyring add", "keyadd", "keyadd: stopped (operation not permitted)"},
		{"new user namespace", "userns", "userns: stopped (operation not permitted)"},
		{"bpf", "bpf", "bpf: stopped (operation not permitted)"},
		{"kernel's keys", "cat /proc/keys", "/proc/keys: \n"},
		{"kernel's addresses", "cat /proc/kallsyms", "/proc/kallsyms: \n"},
		{"cgroup limits", "openw /sys/fs/cgroup/pids/pids.max", "openw: stopped"},
	}
	for who, req := range map[string]seal.Request{"bare": bare, "every capability": everything} {
		t.Run(who, func(t *testing.T) {
			for i, a := range attacks {
				if i > 0 {
					req.Args = append(req.Args, "--")
				}
				req.Args = append(req.Args, strings.Fields(a.args)...)
			}
			out := h.must(t, req)
			for _, a := range attacks {
				if !strings.Contains(out, a.want) {
					t.Errorf("%s: no %q in:\n%s", a.name, a.want, out)
				}
			}
		})
	}
	h.clean(t)
}

func TestLimits(t *testing.T) {
	h := newHost(t)
	t.Run("fork bomb", func(t *testing.T) {
		out := h.must(t, request("forks", "600"))
		var n int
		if _, err := fmt.Sscanf(out, "forks %d", &n); err != nil || n >= 64 || !strings.Contains(out, "resource temporarily unavailable") {
			t.Errorf("with 64 allowed: %s", out)
		}
	})
	t.Run("memory", func(t *testing.T) {
		r, err := h.run(t, request("memory", "200"))
		if err != nil || r.code != 128+int(syscall.SIGKILL) {
			t.Errorf("200 MiB of 64: exit %d, %v: %s", r.code, err, r.out)
		}
	})
	t.Run("storage", func(t *testing.T) {
		req := request("fill", "64")
		req.Profile.Storage = 32 << 20
		expect(t, h.must(t, req), "fill: stopped (write /fill: no space left on device)")
	})
	t.Run("open files and core dumps", func(t *testing.T) {
		var own unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &own); err != nil {
			t.Fatal(err)
		}
		expect(t, h.must(t, request("files", "--", "core")), fmt.Sprintf("files %d\n", min(own.Max, 1<<20)), "core 0\n")
	})
	h.clean(t)
}

func TestTeamTotalHoldsOverContainers(t *testing.T) {
	h := newHost(t)
	req := request("forks", "600")
	req.Profile.PIDs, req.Profile.Total.PIDs = 40, 60
	first := h.background(t, withArgs(req, "forks", "600", "--", "sleep"))
	defer first.end(t)
	time.Sleep(300 * time.Millisecond) // the first fills its own limit
	var n int
	out := h.must(t, req)
	if _, err := fmt.Sscanf(out, "forks %d", &n); err != nil || n > 24 {
		t.Errorf("beside 40 of 60, the second got: %s", out)
	}
}

func withArgs(req seal.Request, args ...string) seal.Request {
	req.Args = args
	return req
}

func TestStorageTotalIsCounted(t *testing.T) {
	h := newHost(t)
	req := request("sleep")
	req.Profile.Storage, req.Profile.Total.Storage = 32<<20, 48<<20
	first := h.background(t, req)
	if _, err := h.run(t, req); !fault.Is(err, fault.Denied) {
		t.Errorf("a second 32 MiB of 48: %v", err)
	}
	first.end(t)
	expect(t, h.must(t, withArgs(req, "whoami")), "whoami: done")
}

// TestInotifyIsCountedByContainer holds the starvation of one container by
// another through what the kernel counts per user.
func TestInotifyIsCountedByContainer(t *testing.T) {
	h := newHost(t)
	first := h.background(t, request("inotify", "1000", "hold"))
	defer first.end(t)
	time.Sleep(300 * time.Millisecond)
	var n int
	out := h.must(t, request("inotify", "1000"))
	if _, err := fmt.Sscanf(out, "inotify %d", &n); err != nil || n < 100 {
		t.Errorf("beside a greedy one, a container got: %s", out)
	}
}

func TestMountsOutsideOfTheProfile(t *testing.T) {
	h := newHost(t)
	dir, secret := share(t, 0)
	outside, _ := share(t, 0)
	for name, link := range map[string]string{"link": outside, "proc": "/proc/self/root" + outside, "data": h.data} {
		if err := os.Symlink(link, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		err = unix.Bind(socket, &unix.SockaddrUnix{Name: filepath.Join(dir, "engine.sock")})
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(socket) }()
	for _, source := range []string{
		outside, secret + "/../..", dir + "/link", dir + "/proc", dir + "/data", dir + "/pipe", dir + "/engine.sock",
		"/", "/proc", "/sys/kernel", "/dev", "/run", "/var", "/etc/shadow", h.data,
	} {
		req := mounting(request("ls", "/mnt"), dir, true)
		req.Profile.Mounts = append(req.Profile.Mounts, profile.Mount{Path: "/run", Writable: true}, profile.Mount{Path: "/proc/**", Writable: true})
		req.Mounts[0].Source = source
		if r, err := h.run(t, req); err == nil || fault.Is(err, fault.Internal) {
			t.Errorf("mount of %s: exit %d, %v: %s", source, r.code, err, r.out)
		}
	}
	h.clean(t)
}

// TestSymlinkSwapRace exchanges an allowed folder and a link to a forbidden one
// as fast as it can while containers mount it (CVE-2018-15664, CVE-2021-30465).
func TestSymlinkSwapRace(t *testing.T) {
	h := newHost(t)
	dir, _ := share(t, 0)
	outside, _ := share(t, 0)
	if err := os.WriteFile(filepath.Join(outside, "forbidden"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	good, link := filepath.Join(dir, "good"), filepath.Join(dir, "link")
	if err := errors.Join(os.Mkdir(good, 0o755), os.WriteFile(filepath.Join(good, "allowed"), nil, 0o644), os.Symlink(outside, link)); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	swapped := make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				swapped <- n
				return
			default:
				n++
				_ = unix.Renameat2(unix.AT_FDCWD, good, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE)
			}
		}
	}()
	allowed, refused := 0, 0
	for range 12 {
		req := mounting(request("ls", "/mnt"), dir, true)
		req.Mounts[0].Source = good
		r, err := h.run(t, req)
		switch {
		case strings.Contains(r.out, "forbidden"):
			t.Fatalf("the race was won: %s", r.out)
		case err == nil && strings.Contains(r.out, "allowed"):
			allowed++
		case fault.Is(err, fault.Denied):
			refused++
		default:
			t.Errorf("neither mounted nor denied: %v, %s", err, r.out)
		}
	}
	close(stop)
	t.Logf("%d swaps, %d mounts, %d refusals", <-swapped, allowed, refused)
	h.clean(t)
}
