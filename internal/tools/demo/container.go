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
	s.stage.command("plimsoll " + words(args))
	line := s.asRoot(s.bin, args...)
	c := &container{cmd: exec.CommandContext(ctx, line[0], line[1:]...)}
	c.cmd.Dir, c.cmd.Env = s.dir, s.environment(nil)
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

// kill ends the container in a hurry; it may have ended.
func (c *container) kill() { _ = c.end() }

// A hostView is a container's process as the host sees it.
type hostView struct {
	pid    int
	uid    int64
	status string
}

// lookUp finds the container's process among the host's by its mapping.
func lookUp(c *container) (*hostView, error) {
	maps, err := filepath.Glob("/proc/[0-9]*/uid_map")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	for _, path := range maps {
		b, err := os.ReadFile(path)
		if err != nil || strings.Join(strings.Fields(string(b)), " ") != strings.Join(strings.Fields(c.said[1]), " ") {
			continue // it has ended, or is another's
		}
		dir := filepath.Dir(path)
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			return nil, fmt.Errorf("read process: %w", err)
		}
		status, err := os.ReadFile(dir + "/status")
		if err != nil {
			return nil, fmt.Errorf("read process: %w", err)
		}
		h := &hostView{pid: pid}
		for line := range strings.Lines(string(status)) {
			name, value, _ := strings.Cut(line, ":")
			if name == "Name" || name == "Uid" {
				h.status += line
			}
			if name == "Uid" {
				h.uid, err = strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			}
		}
		return h, err
	}
	return nil, fmt.Errorf("no process of the host has the mapping %q", c.said[1])
}

// A limit is a file of a cgroup: by controller, its names in the second and the
// first version, and the values that it must have there.
type limit struct {
	controller string
	files      []string
	values     []string
}

func (l limit) allows(value string) bool {
	for _, v := range l.values {
		if v == value {
			return true
		}
	}
	return false
}

// limit returns the path and the content of the file that limits the process.
func (h *hostView) limit(l limit) (path, value string, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", h.pid))
	if err != nil {
		return "", "", fmt.Errorf("read cgroup: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // ID:CONTROLLERS:PATH
		if len(parts) != 3 {
			continue
		}
		for _, top := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/" + parts[1], "/sys/fs/cgroup/unified"} {
			for _, file := range l.files {
				path := filepath.Join(top, parts[2], file)
				if b, err := os.ReadFile(path); err == nil {
					return path, strings.TrimSpace(string(b)), nil
				}
			}
		}
	}
	return "", "", fmt.Errorf("no cgroup limits %s of process %d", l.controller, h.pid)
}
