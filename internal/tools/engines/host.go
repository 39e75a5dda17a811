//go:build linux

package engines

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Host is a machine within the machine, see the package's comment.
type Host struct {
	Dir    string // its folder, for everybody to enter
	Cgroup string // of its own, "/" first, for engines to put containers below

	init   *exec.Cmd
	leash  io.Closer // closed, it ends the host
	groups []string
}

//go:embed init.sh
var initScript string

// Missing returns why no host can be started here: programs that are not found,
// and root's rights. Nothing is missing if it is empty.
func Missing(programs ...string) []string {
	var missing []string
	if os.Getuid() != 0 {
		missing = append(missing, "root")
	}
	for _, p := range append([]string{"sh", "mount", "nsenter", "ip", "dockerd", "containerd", "runc", "docker"}, programs...) {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, p)
		}
	}
	return missing
}

// NewHost starts a host. Whoever started it closes it.
func NewHost(ctx context.Context) (*Host, error) {
	word := make([]byte, 4)
	if _, err := rand.Read(word); err != nil {
		return nil, fmt.Errorf("name a host: %w", err)
	}
	name := "pl-" + hex.EncodeToString(word)
	h := &Host{Dir: filepath.Join("/var/tmp", name), Cgroup: "/" + name} // short: unix sockets have 107 bytes
	h.groups = []string{h.Cgroup}
	if err := os.Mkdir(h.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make folder of host: %w", err)
	}
	if err := h.start(ctx); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// start runs the first process and waits until it has set the host up.
func (h *Host) start(ctx context.Context) error {
	h.init = exec.Command("sh", "-c", initScript, "sh", h.Dir) //nolint:noctx // the leash ends it, and Close, which ctx's end must not forestall
	h.init.Env, h.init.Dir = environment(h.Dir), "/"
	h.init.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC}
	leash, err := h.init.StdinPipe()
	if err != nil {
		return fmt.Errorf("make leash of host: %w", err)
	}
	h.leash = leash
	var out bytes.Buffer
	h.init.Stderr = &out
	if err := h.init.Start(); err != nil {
		h.init = nil
		return fmt.Errorf("start host: %w", err)
	}
	ready := func() error {
		_, err := os.Stat(filepath.Join(h.Dir, "ready"))
		return err
	}
	if err := h.until(ctx, "the host", ready); err != nil {
		return fmt.Errorf("%w\n%s", err, out.String())
	}
	return nil
}

// until tries what, ten times a second, for half a minute, and stops when the
// host has ended.
func (h *Host) until(ctx context.Context, what string, ready func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		if state, stated := os.ReadFile(fmt.Sprintf("/proc/%d/stat", h.init.Process.Pid)); stated != nil || bytes.Contains(state, []byte(") Z ")) {
			return fmt.Errorf("%s: the host has ended: %w", what, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Command returns a command that runs on the host. Cancelled, it leaves what it
// started on the host running until the host ends.
func (h *Host) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"-t", strconv.Itoa(h.init.Process.Pid), "-m", "-u", "-i", "-n", "-p", "--", name}, args...)...)
	cmd.Env, cmd.Dir, cmd.WaitDelay = environment(h.Dir), "/", 2*time.Second
	return cmd
}

// Run runs a command on the host and returns what it wrote to both streams.
func (h *Host) Run(ctx context.Context, name string, args ...string) (string, error) {
	out, err := h.Command(ctx, name, args...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s on the host: %w\n%s", name, err, out)
	}
	return string(out), nil
}

// Path returns where a file of the host, named as it is inside, lies outside.
// It serves for /proc, /run and /etc, and for sockets if it is short enough.
func (h *Host) Path(inside string) string {
	return fmt.Sprintf("/proc/%d/root%s", h.init.Process.Pid, inside)
}

// Proc returns where the file name of a process lies, whose number counts on
// the host.
func (h *Host) Proc(pid int, name string) string {
	return h.Path(fmt.Sprintf("/proc/%d/%s", pid, name))
}

// Remove adds a control group to those that Close removes, groups below it
// included; "/" first.
func (h *Host) Remove(group string) { h.groups = append(h.groups, group) }

// Close ends every process of the host and removes its folder and control
// groups. It may be called more than once.
func (h *Host) Close() error {
	var errs []error
	if h.init != nil {
		errs = append(errs, h.leash.Close(), h.init.Process.Kill())
		var exit *exec.ExitError
		if err := h.init.Wait(); err != nil && !errors.As(err, &exit) {
			errs = append(errs, err)
		}
		h.init = nil
	}
	for _, g := range h.groups {
		errs = append(errs, removeGroup(g))
	}
	return errors.Join(append(errs, os.RemoveAll(h.Dir))...)
}

// removeGroup removes a group and those below it from every tree.
func removeGroup(name string) error {
	tops, err := filepath.Glob("/sys/fs/cgroup/*" + name)
	if err != nil {
		return fmt.Errorf("find control groups: %w", err)
	}
	var errs []error
	for _, top := range append(tops, "/sys/fs/cgroup"+name) {
		var groups []string
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				groups = append(groups, path)
			}
			return nil
		})
		errs = append(errs, err)
		for _, g := range slices.Backward(groups) {
			if err := gone(g); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// gone removes one group. The kernel takes a moment to see that its processes
// have ended.
func gone(group string) error {
	var err error
	for range 50 {
		if err = os.Remove(group); err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("remove control group: %w", err)
}

// environment is this process's without what leads a docker command elsewhere.
func environment(dir string) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "DOCKER_") || strings.HasPrefix(v, "CONTAINER") })
	return append(env, "DOCKER_CONFIG="+dir+"/client", "DOCKER_BUILDKIT=0", "LC_ALL=C")
}
