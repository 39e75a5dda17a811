package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A container is a running "plimsoll run" whose program has said who it is and
// waits for its input to end.
type container struct {
	cmd   *exec.Cmd
	input io.Closer
	said  []string // the answer of id, and the mapping
	base  int64    // who root inside is outside
}

// start shows and starts a container.
func (s *story) start(ctx context.Context, args ...string) (*container, error) {
	s.asked++
	s.stage.command("plimsoll " + words(args))
	line := s.asRoot(s.bin, args...)
	c := &container{cmd: exec.CommandContext(ctx, line[0], line[1:]...)}
	c.cmd.Dir, c.cmd.Env = s.dir, s.environment()
	c.cmd.Cancel = func() error { return c.cmd.Process.Signal(syscall.SIGTERM) }
	c.cmd.WaitDelay = 10 * time.Second
	var errs strings.Builder
	c.cmd.Stderr = &errs
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start container: %w", err)
	}
	if c.input, err = c.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start container: %w", err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start container: %w", err)
	}
	lines := bufio.NewScanner(out)
	for len(c.said) < 2 && lines.Scan() {
		c.said = append(c.said, lines.Text())
	}
	if len(c.said) < 2 {
		return nil, errors.Join(fmt.Errorf("plimsoll %s said only %q", words(args), c.said), c.end(), errors.New(errs.String()))
	}
	fields := strings.Fields(c.said[1]) // INSIDE OUTSIDE COUNT
	if len(fields) != 3 || fields[0] != "0" {
		return nil, errors.Join(fmt.Errorf("the mapping is %q", c.said[1]), c.end())
	}
	c.base, err = strconv.ParseInt(fields[1], 10, 64)
	return c, err
}

// end lets the container end by itself.
func (c *container) end() error {
	return errors.Join(c.input.Close(), c.cmd.Wait())
}

// A hostView is a container's process as the host sees it.
type hostView struct {
	pid    int
	uid    int64
	status string
}

// lookUp finds the container's process on the host: the descendant of the
// command that has the container's mapping.
func lookUp(c *container) (*hostView, error) {
	maps, err := filepath.Glob("/proc/[0-9]*/uid_map")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	for _, path := range maps {
		b, err := os.ReadFile(path)
		if err != nil || !slices.Equal(strings.Fields(string(b)), strings.Fields(c.said[1])) {
			continue // it has ended, or is another's
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return nil, fmt.Errorf("read process: %w", err)
		}
		if !descends(pid, c.cmd.Process.Pid) {
			continue
		}
		h := &hostView{pid: pid}
		h.uid, err = strconv.ParseInt(status(pid, "Uid")[0], 10, 64)
		h.status = fmt.Sprintf("Name:\t%s\nUid:\t%s", strings.Join(status(pid, "Name"), " "), strings.Join(status(pid, "Uid"), "\t"))
		return h, err
	}
	return nil, fmt.Errorf("no process of the host has the mapping %q", c.said[1])
}

// descends reports whether pid is a child of ancestor, or a child's child, …
func descends(pid, ancestor int) bool {
	for pid > 1 && pid != ancestor {
		parent, err := strconv.Atoi(status(pid, "PPid")[0])
		if err != nil {
			return false
		}
		pid = parent
	}
	return pid == ancestor
}

// status returns the words of a line of a process's status (proc_pid_status(5)),
// at least one.
func status(pid int, name string) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return []string{""} // it has ended
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			if words := strings.Fields(value); len(words) > 0 {
				return words
			}
		}
	}
	return []string{""}
}

// A limit is a file of a cgroup: by controller, its names in the second and the
// first version, and the values that it must have there.
type limit struct {
	controller string
	files      []string
	values     []string
}

func (l limit) allows(value string) bool { return slices.Contains(l.values, value) }

// cgroups returns the folders of the process's cgroups, but for those of the
// whole host.
func (h *hostView) cgroups() (dirs []string) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", h.pid))
	if err != nil {
		return nil // it has ended
	}
	for line := range strings.Lines(string(b)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // ID:CONTROLLERS:PATH
		if len(parts) != 3 || parts[2] == "/" {
			continue
		}
		for _, top := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/" + parts[1], "/sys/fs/cgroup/unified"} {
			dir := filepath.Join(top, parts[2])
			if _, err := os.Stat(dir + "/cgroup.procs"); err == nil && !slices.Contains(dirs, dir) {
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs
}

// limit returns the path and the content of the file that limits the process.
func (h *hostView) limit(l limit) (path, value string, err error) {
	for _, dir := range h.cgroups() {
		for _, file := range l.files {
			path := filepath.Join(dir, file)
			if b, err := os.ReadFile(path); err == nil {
				return path, strings.TrimSpace(string(b)), nil
			}
		}
	}
	return "", "", fmt.Errorf("no cgroup limits %s of process %d", l.controller, h.pid)
}
