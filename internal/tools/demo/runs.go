package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// ownExit is the exit code of run for a denial and for all else that is
// plimsoll's and not the program's.
const ownExit = 125

// inside is what the sealed shell is asked: who am I, and who am I outside? Then
// it waits for its input to end.
const inside = "id; cat /proc/self/uid_map; cat"

// runs runs harbour:new as team payments.
func (s *story) runs(ctx context.Context) error {
	if err := s.becomeRoot(ctx); err != nil {
		return err
	}
	s.stage.prose("harbour:new runs as team payments. It believes to be root:")
	if err := s.bothSides(ctx); err != nil {
		return err
	}
	s.stage.prose("harbour:old does not run, because the same policy decides:")
	if err := s.sealed(ctx, ownExit, s.image("old"), "id"); err != nil {
		return err
	}
	if err := s.ledger(ctx); err != nil {
		return err
	}
	if err := s.nothingLeft(); err != nil {
		return err
	}
	return s.giveBack(ctx, s.path("data"))
}

// sealed shows and runs a command in an image, and fails unless it ends with
// the exit code want.
func (s *story) sealed(ctx context.Context, want int, args ...string) error {
	_, err := s.plimsollAsRoot(ctx, want, append(runAs(), args...)...)
	return err
}

func runAs() []string { return []string{"run", "--team", "payments", "--environment", "production"} }

func (s *story) plimsollAsRoot(ctx context.Context, want int, args ...string) (result, error) {
	s.asked++
	s.stage.command("plimsoll " + words(args))
	line := s.asRoot(s.bin, args...)
	r, err := s.run(ctx, line[0], line[1:]...)
	if err != nil {
		return r, err
	}
	s.stage.output(r.out)
	s.stage.output(r.errs)
	return r, s.ended(r, want, args)
}

// bothSides starts two containers and looks at them from within and without.
func (s *story) bothSides(ctx context.Context) (err error) {
	var bases []int64
	for range 2 {
		c, err := s.start(ctx, append(runAs(), s.image("new"), "sh", "-c", inside)...)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, c.end()) }()
		s.stage.output(strings.Join(c.said, "\n"))
		if !strings.Contains(c.said[0], "uid=0(root)") {
			return fmt.Errorf("inside, it is not root: %s", c.said[0])
		}
		h, err := lookUp(c)
		if err != nil {
			return err
		}
		s.traces = append(s.traces, append(h.cgroups(), fmt.Sprintf("/proc/%d", h.pid))...)
		if err := s.outside(c, h); err != nil {
			return err
		}
		bases = append(bases, c.base)
		if len(bases) == 2 {
			if bases[0] == bases[1] {
				return fmt.Errorf("both containers are user %d outside", bases[0])
			}
			s.stage.fact("two containers, two users: %d and %d", bases[0], bases[1])
			continue
		}
		if err := s.limits(h); err != nil {
			return err
		}
		s.stage.prose("A second one beside it is somebody else:")
	}
	return nil
}

// outside shows the container's process as the host sees it.
func (s *story) outside(c *container, h *hostView) error {
	s.stage.command(fmt.Sprintf("grep -E '^(Name|Uid):' /proc/%d/status    # the same process, seen from the host", h.pid))
	s.stage.output(h.status)
	if h.uid != c.base || c.base < 65536 {
		return fmt.Errorf("outside, the process is user %d, not %d", h.uid, c.base)
	}
	s.stage.fact("root inside is user %d outside, who owns nothing here", h.uid)
	return nil
}

// limits shows the limits that the kernel holds the container to.
func (s *story) limits(h *hostView) error {
	wanted := []limit{
		{"memory", []string{"memory.max", "memory.limit_in_bytes"}, []string{"268435456"}},
		{"pids", []string{"pids.max"}, []string{"64"}},
		{"cpu", []string{"cpu.max", "cpu.cfs_quota_us"}, []string{"50000 100000", "50000"}},
	}
	for _, l := range wanted {
		path, value, err := h.limit(l)
		if err != nil {
			return err
		}
		s.stage.command("cat " + path)
		s.stage.output(value)
		if !l.allows(value) {
			return fmt.Errorf("%s is %s, not as the team's profile says", path, value)
		}
	}
	s.stage.fact("half a processor, 256 MiB, 64 processes: the profile of team payments")
	return nil
}

// nothingLeft fails if a mount, a cgroup or a process of a container is still
// there.
func (s *story) nothingLeft() error {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("read mounts: %w", err)
	}
	if strings.Contains(string(mounts), s.dir) {
		return fmt.Errorf("something is still mounted below %s", s.dir)
	}
	for _, path := range s.traces {
		if _, err := os.Stat(path); err == nil {
			return fmt.Errorf("%s is still there", path)
		}
	}
	s.stage.fact("no mount, no cgroup and no process of a container is left")
	return nil
}

// ledger shows a file of the host's root, in a folder that is mounted for
// writing, to a plain container and to a sealed one.
func (s *story) ledger(ctx context.Context) error {
	const before, after = "balance: 100\n", "balance: 1000000\n"
	shared := s.path("shared")
	if err := s.plainBundle(ctx, shared, before); err != nil {
		return err
	}
	spend := "echo '" + strings.TrimSpace(after) + "' > /srv/ledger"
	s.stage.prose("%s/ledger belongs to the host's root. Plain runc mounts its folder, read-write:", shared)
	if err := s.plainRun(ctx, spend); err != nil {
		return err
	}
	if b, err := os.ReadFile(shared + "/ledger"); err != nil || string(b) != after {
		return fmt.Errorf("plain runc did not change the ledger: %q, %w", b, err)
	}
	s.stage.fact("root in a plain container is root: the host's file now says %q", strings.TrimSpace(after))

	if err := s.mustAsRoot(ctx, "sh", "-c", "printf '"+before+"' > \"$1\"", "sh", shared+"/ledger"); err != nil {
		return err
	}
	s.stage.prose("The same, sealed:")
	r, err := s.plimsollAsRoot(ctx, 2, append(runAs(), "--mount", shared+":/srv", s.image("new"), "sh", "-c", spend)...)
	if err != nil {
		return err
	}
	if b, err := os.ReadFile(shared + "/ledger"); err != nil || string(b) != before || !strings.Contains(r.text(), "ermission denied") {
		return fmt.Errorf("the sealed container was not refused: %q, %w", b, err)
	}
	s.stage.fact("root in a sealed container is nobody: the host's file still says %q", strings.TrimSpace(before))
	return nil
}
