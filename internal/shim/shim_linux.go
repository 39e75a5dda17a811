package shim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
	"plimsoll/internal/seal"
	"plimsoll/internal/seal/protocol"
)

// shim carries out one call.
type shim struct {
	ctx    context.Context //nolint:containedctx // lives for one call, as the context does
	config *config
	grants seal.Grants
	code   int // exit code, if there is no error

	attended bool // the call runs a container to its end, which gets this process's signals
}

// Main carries out a call of the runtime; args are without the program's name. It
// returns the exit code, unless the process has become the runtime behind it. It
// must be called on the process's first thread, which it keeps.
func Main(ctx context.Context, args []string, stderr io.Writer) int {
	runtime.LockOSThread() // namespaces and credentials are a thread's own
	c, err := parseCall(args)
	s := &shim{ctx: ctx}
	if err == nil {
		err = s.do(c, args)
	}
	if err != nil {
		report(stderr, c, err)
		return 1
	}
	return s.code
}

func (s *shim) do(c *call, args []string) (err error) {
	if s.config, err = readConfig(); err != nil {
		return err
	}
	s.grants = seal.Grants{Folder: s.config.State}
	if c.command.run != nil {
		return c.command.run(s, c)
	}
	return s.pass(c, args)
}

// state returns the runtime's folder of state, --root, for which runc and crun
// have different defaults.
func (c *call) state() string {
	root := c.globals.last("root")
	if root == "" {
		return "/run/runc"
	}
	abs, err := filepath.Abs(root)
	if err != nil {
		return root
	}
	return abs
}

// pass becomes the runtime that made the container that the call is about, with
// the arguments as they are.
func (s *shim) pass(c *call, args []string) error {
	path := ""
	if len(c.args) > 0 && protocol.ValidID(c.args[0]) {
		if sealed, err := s.grants.Find(c.state(), c.args[0]); err == nil {
			path = sealed.Runtime.Path // none if its making was killed
		}
	}
	if path == "" {
		var err error
		if path, err = s.config.runtime("runc"); err != nil {
			return err
		}
	}
	if c.globals.last("root") == "" && c.name != "" && c.name != "help" {
		args = slices.Concat([]string{"--root=" + c.state()}, args)
	}
	return become(path, args)
}

// become replaces this process by a runtime. It returns only with an error.
func become(path string, args []string) error {
	if isCrun(path) {
		if err := seal.SlaveMounts(); err != nil {
			return err
		}
		if err := seal.HideUnified(); err != nil {
			return err
		}
	}
	err := syscall.Exec(path, slices.Concat([]string{path}, args), environment())
	return fault.As(fault.Unavailable, fmt.Errorf("start runtime %q: %w", path, err))
}

func isCrun(path string) bool { return strings.HasPrefix(filepath.Base(path), "crun") }

// environment returns the variables that a runtime needs. Others make it give
// containers what was not granted: NOTIFY_SOCKET a mount, LISTEN_FDS descriptors.
func environment() []string {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	for _, name := range []string{"HOME", "TMPDIR", "LANG", "TERM", "DBUS_SESSION_BUS_ADDRESS"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// keepNothing has the kernel close all descriptors but the standard ones when the
// process becomes another.
func keepNothing() error {
	if err := unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close descriptors: %w", err)
	}
	return nil
}

func (s *shim) restore(*call) error {
	return fault.Errorf(fault.Denied, "a sealed container cannot be restored from a checkpoint: what it would be given comes from the checkpoint's files, not from its team's profile")
}

// remove has the runtime delete a container, and then puts away what was kept
// for it.
func (s *shim) remove(c *call) error {
	id, err := c.id(0)
	if err != nil {
		return err
	}
	if c.flags.has("force") && protocol.ValidID(id) && s.grants.Gone(c.state(), id) {
		return nil // as the runtime would find: engines delete every container twice
	}
	path, err := s.config.runtime("runc")
	if err != nil {
		return err
	}
	if !protocol.ValidID(id) {
		return become(path, slices.Concat(c.globalList(), []string{"delete"}, c.flags.list(c.command.flags, "force"), []string{"--", id}))
	}
	sealed, err := s.grants.Find(c.state(), id)
	if err == nil && sealed.Runtime.Path != "" {
		path = sealed.Runtime.Path
	} else if err != nil && !fault.Is(err, fault.NotFound) {
		sealed = nil // damaged: it goes as well
	}
	if isCrun(path) {
		if err := errors.Join(seal.SlaveMounts(), seal.HideUnified()); err != nil {
			return err
		}
	}
	args := slices.Concat(c.globalList(), []string{"delete"}, c.flags.list(c.command.flags, "force"), []string{id})
	if s.code, err = s.supervise(path, args, nil); err != nil || s.code != 0 {
		return err
	}
	return s.forget(c.state(), id, sealed)
}

// forget puts away what is kept for a container that the runtime has no more, and
// tells the guard.
func (s *shim) forget(state, id string, sealed *seal.Sealed) error {
	ctx, cancel := context.WithTimeout(s.ctx, s.config.deadline())
	defer cancel()
	held, err := s.grants.Lock(ctx, state, id)
	if err != nil || held == nil {
		return err
	}
	if seal.Known(state, id) {
		return held.Release() // another of the same ID was made meanwhile
	}
	return s.putAway(ctx, held, state, id, sealed)
}

func (s *shim) putAway(ctx context.Context, held *seal.Held, state, id string, sealed *seal.Sealed) error {
	if sealed != nil {
		if err := s.emptyGroups(ctx, sealed.Grant.Team, id); err != nil {
			return errors.Join(err, held.Release())
		}
	}
	if err := held.Remove(); err != nil {
		return err
	}
	s.tell(ctx, state, id)
	return nil
}

// emptyGroups ends what is left in a container's control groups and removes them.
func (s *shim) emptyGroups(ctx context.Context, team, id string) error {
	cgroups, err := seal.FindCgroups()
	if err == nil {
		err = cgroups.Kill(ctx, team, id)
	}
	if err == nil {
		err = cgroups.Remove(team, id)
	}
	return err
}

// tell lets the guard know that a container is gone. It finds out by itself if it
// does not hear of it.
func (s *shim) tell(ctx context.Context, state, id string) {
	_ = protocol.Tell(ctx, s.config.Guard, protocol.Question{Verb: protocol.Deleted, ID: id, State: state})
}
