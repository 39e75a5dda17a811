package shim_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"plimsoll/internal/seal/protocol"
)

// TestKilledAtEachStep kills the runtime with SIGKILL at every system call of a
// create that leaves something, one after the other, as strace counts them, and
// then does what engines do: delete --force, and the container once more.
func TestKilledAtEachStep(t *testing.T) {
	need(t, "strace")
	h := newHost(t)
	merged, _ := h.overlay("k", 2, "")
	mounts := h.mounts()
	killed := 0
	for _, call := range []string{"unshare", "mkdirat", "mount", "connect", "renameat,rename", "flock", "ptrace", "clone,clone3,vfork", "wait4,waitid", "memfd_create,unlinkat"} {
		for nth := 1; nth <= 40; nth += 3 {
			b := h.container(merged, "sleep 1000")
			b.write()
			cmd := exec.CommandContext(t.Context(), "strace", "-qq", "-o", "/dev/null", "-e", "trace="+call, "-e", "inject="+call+":signal=SIGKILL:when="+strconv.Itoa(nth),
				h.bin, "--root", h.root, "--log", h.log(), "create", "--bundle", b.dir, b.id)
			err := cmd.Run()
			if out, err := h.call("delete", "--force", b.id); err != nil {
				t.Fatalf("%s %d: delete: %v: %s", call, nth, err, out)
			}
			again := h.container(merged, "echo again")
			if out, err := again.run(); err != nil || out != "again\n" {
				t.Fatalf("%s %d: afterwards: %v: %s", call, nth, err, out)
			}
			h.clean(mounts)
			if t.Failed() {
				t.Fatalf("after %s %d", call, nth)
			}
			if err == nil {
				break // it has fewer of these
			}
			killed++
		}
	}
	t.Logf("killed %d times", killed)
	if killed < 15 {
		t.Errorf("killed only %d times", killed)
	}
}

// TestNobodyDeletes leaves what a killed run made to the next container of the
// same engine.
func TestNobodyDeletes(t *testing.T) {
	h := newHost(t)
	gate := make(chan struct{})
	plainAnswer := h.answer
	h.answer = func(q protocol.Question) protocol.Answer {
		<-gate
		return plainAnswer(q)
	}
	b := h.container(h.image(), "sleep 1000")
	b.write()
	cmd := exec.CommandContext(t.Context(), h.bin, "--root", h.root, "create", "--bundle", b.dir, b.id)
	h.must(cmd.Start())
	for len(h.grants()) == 0 {
		if cmd.ProcessState != nil {
			t.Fatal("it ended")
		}
	}
	h.must(cmd.Process.Kill())
	_ = cmd.Wait()
	close(gate)
	if len(h.grants()) != 1 {
		t.Fatalf("nothing was left: %q", h.grants())
	}
	if out, err := h.container(h.image(), "echo next").run(); err != nil || out != "next\n" {
		t.Fatalf("%v: %s", err, out)
	}
	h.clean(nil)
}

// TestKilledContainer takes down with a container what was mounted for it.
func TestKilledContainer(t *testing.T) {
	h := newHost(t)
	merged, _ := h.overlay("k", 2, "")
	mounts := h.mounts()
	b := h.container(merged, "sleep 1000")
	b.start()
	if got := h.mounts(); len(got) != len(mounts) {
		t.Errorf("the host sees the container's mounts: %q", got)
	}
	text, err := os.ReadFile(filepath.Join(b.dir, "pid"))
	h.must(err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	h.must(err)
	h.must(unix.Kill(pid, unix.SIGKILL))
	if out, err := h.call("delete", "--force", b.id); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	h.clean(mounts)
	if len(h.asked(protocol.Deleted)) != 1 {
		t.Error("the guard was not told")
	}
}

// TestIDsStayTakenWhileSomethingRuns has a create fail whose control group holds a
// process that does not end: the guard must not give its IDs to another.
func TestIDsStayTakenWhileSomethingRuns(t *testing.T) {
	const freezer = "/sys/fs/cgroup/freezer"
	if _, err := os.Stat(freezer + "/cgroup.procs"); err != nil {
		t.Skip("a frozen process ends when it is killed, except under control groups of version 1")
	}
	h := newHost(t)
	h.configure(map[string]any{"guard": filepath.Join(h.dir, "guard"), "state": h.state, "deadline": "300ms", "runtimes": map[string]string{"runc": runc}})
	b := h.container(h.image(), "echo started")
	b.mount(map[string]any{"destination": "/m", "type": "bind", "source": filepath.Join(h.dir, "none"), "options": []string{"rbind"}})
	b.write()
	sleep := exec.CommandContext(t.Context(), "sleep", "1000")
	h.must(sleep.Start())
	group := filepath.Join(freezer, "plimsoll", team, b.id)
	h.must(os.MkdirAll(group, 0o755))
	set := func(file, value string) { h.must(os.WriteFile(filepath.Join(group, file), []byte(value), 0o600)) }
	set("cgroup.procs", strconv.Itoa(sleep.Process.Pid))
	set("freezer.state", "FROZEN")
	out, err := h.call("create", "--bundle", b.dir, b.id)
	if err == nil || !strings.Contains(out, "do not end") {
		t.Errorf("%v: %s", err, out)
	}
	if got := h.asked(protocol.Deleted); len(got) != 0 {
		t.Errorf("the guard was told that nothing runs: %+v", got)
	}
	set("freezer.state", "THAWED")
	_ = sleep.Wait()
	if out, err := h.container(h.image(), "echo next").run(); err != nil || out != "next\n" {
		t.Fatalf("%v: %s", err, out)
	}
	h.clean(nil)
}

func TestCrun(t *testing.T) {
	need(t, "crun")
	h := newHost(t)
	merged, upper := h.overlay("k", 2, "")
	mounts := h.mounts()
	h.give(func(g *protocol.Grant) { g.Profile.Runtime = "crun" })
	b := h.container(merged, "cat /proc/self/uid_map; touch /made; sleep 1000")
	b.start()
	if out, err := h.call("exec", b.id, "cat", "/proc/self/uid_map"); err != nil || strings.Contains(out, "4294967295") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := h.call("state", b.id); err != nil || !strings.Contains(out, "running") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := h.call("delete", "--force", b.id); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	owner(t, filepath.Join(upper, "made"), 0)
	h.clean(mounts)
}

// TestDeletedTwice deletes a container as engines do, with force and a second time
// when it is gone: that takes no runtime, but what a runtime might have of it does.
func TestDeletedTwice(t *testing.T) {
	h := newHost(t)
	b := h.container(h.image(), "true")
	b.start()
	if out, err := h.call("delete", "--force", b.id); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	refuses := filepath.Join(h.dir, "false")
	h.must(os.Symlink(busybox(t), refuses))
	h.configure(map[string]any{"guard": filepath.Join(h.dir, "guard"), "state": h.state, "runtimes": map[string]string{"runc": refuses}})
	if out, err := h.call("delete", "--force", b.id); err != nil || out != "" {
		t.Errorf("gone: %v: %s", err, out)
	}
	if _, err := h.call("delete", b.id); err == nil {
		t.Error("deleted without force though it is gone")
	}
	h.must(os.MkdirAll(filepath.Join(h.root, b.id), 0o711))
	if _, err := h.call("delete", "--force", b.id); err == nil {
		t.Error("the runtime was not asked to delete what it has")
	}
}
