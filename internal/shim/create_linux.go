package shim

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
	"plimsoll/internal/seal"
	"plimsoll/internal/seal/protocol"
	"plimsoll/internal/seal/rewrite"
)

const (
	configFile = "config.json"
	maxSpec    = 16 << 20 // bytes of config.json
)

// asked is what must be known of a spec before anything is granted. It is read
// again, with more care, when it is rewritten.
type asked struct {
	Root struct {
		Path string `json:"path"`
	} `json:"root"`
	Annotations map[string]string `json:"annotations"`
	Linux       struct {
		CgroupsPath string                 `json:"cgroupsPath"`
		Namespaces  []specs.LinuxNamespace `json:"namespaces"`
	} `json:"linux"`
}

// creation is the making of one container.
type creation struct {
	*shim
	call   *call
	id     string
	bundle string
	config []byte
	asked  asked
	held   *seal.Held
	made   seal.Sealed
	build  seal.Building
	groups bool // control groups were made
}

// create makes a container: create, and run, which starts it too.
func (s *shim) create(c *call) (err error) {
	n := &creation{shim: s, call: c}
	if n.id, err = c.id(0); err != nil {
		return err
	}
	if err := n.read(); err != nil {
		return err
	}
	if err := seal.Able(); err != nil {
		return err
	}
	if err := s.grants.Open(); err != nil {
		return err
	}
	if err := seal.PrivateMounts(); err != nil {
		return err
	}
	if n.held, err = s.grants.Hold(c.state(), n.id); err != nil {
		return err
	}
	err = n.make()
	if err == nil {
		err = n.start()
	}
	if err != nil || !seal.Known(c.state(), n.id) {
		return errors.Join(err, n.undo())
	}
	return n.held.Release()
}

// read reads what the engine asks for, and refuses flags of the command line that
// would take a part of the seal away.
func (n *creation) read() (err error) {
	if !protocol.ValidID(n.id) {
		return fault.Errorf(fault.Usage, "%.80q is no container's ID", n.id)
	}
	if n.call.flags.has("no-pivot") {
		return fault.Errorf(fault.Denied, "--no-pivot: the host's mounts would stay within the container's reach (DOCKER_RAMDISK)")
	}
	if fds := n.call.flags.last("preserve-fds"); fds != "" && fds != "0" {
		return fault.Errorf(fault.Denied, "--preserve-fds: descriptors of the host are not given to a container")
	}
	if r := n.call.globals.last("rootless"); r == "true" {
		return fault.Errorf(fault.Denied, "--rootless: only root can seal a container")
	}
	bundle := n.call.flags.last("bundle")
	if bundle == "" {
		bundle = "."
	}
	if n.bundle, err = filepath.Abs(bundle); err != nil {
		return err
	}
	if n.config, err = durable.ReadFile(filepath.Join(n.bundle, configFile), maxSpec); err != nil {
		return fault.As(fault.Invalid, fmt.Errorf("bundle: %w", err))
	}
	if err := json.Unmarshal(n.config, &n.asked); err != nil {
		return fault.As(fault.Invalid, fmt.Errorf("bundle: %s: %w", configFile, err))
	}
	return nil
}

// make asks the guard and puts the container together.
func (n *creation) make() (err error) {
	root, err := seal.OpenRoot(n.inBundle(n.asked.Root.Path))
	if err != nil {
		return err
	}
	spaces, err := n.grants.OpenSpaces(n.asked.Linux.Namespaces)
	if err != nil {
		return errors.Join(err, root.Close())
	}
	defer func() { err = errors.Join(err, root.Close(), spaces.Close()) }()
	n.build = seal.Building{Root: root, Spaces: spaces}
	if err := n.ask(); err != nil {
		return err
	}
	situation, err := n.situation()
	if err != nil {
		return err
	}
	if n.build.Plan, err = rewrite.Create(n.config, n.build.Grant, *situation); err != nil {
		return err
	}
	if n.build.Plan.Root != n.asked.Root.Path {
		return fault.Errorf(fault.Denied, "config.json names two roots")
	}
	for _, hook := range n.build.Plan.Hooks {
		if err := seal.CheckHook(hook); err != nil {
			return err
		}
	}
	return n.put()
}

func (n *creation) inBundle(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(n.bundle, path)
}

// ask gets the grant. A container that joins others has their IDs, and is of
// their team.
func (n *creation) ask() error {
	ctx, cancel := context.WithTimeout(n.ctx, n.shim.config.deadline())
	defer cancel()
	grant, err := protocol.Ask(ctx, n.shim.config.Guard, protocol.Question{
		Verb: protocol.Create, ID: n.id, State: n.call.state(), Bundle: n.bundle, Cgroup: n.asked.Linux.CgroupsPath,
		Annotations: n.asked.Annotations, Layers: n.build.Root.Layers, Upper: n.build.Root.Upper, Joins: n.build.Spaces.IDs(),
	})
	if err != nil {
		return err
	}
	n.build.Grant = grant
	n.made = seal.Sealed{ID: n.id, State: n.call.state(), Grant: *grant}
	if with := n.build.Spaces.With; len(with) > 0 {
		if with[0].Grant.Team != grant.Team {
			return fault.Errorf(fault.Denied, "a container of team %q cannot join namespaces of team %q", grant.Team, with[0].Grant.Team)
		}
		grant.IDs = with[0].Grant.IDs
		n.made.Grant.IDs = grant.IDs
	}
	if err := n.limitStorage(ctx); err != nil {
		return err
	}
	if err := n.limitEgress(); err != nil {
		return err
	}
	return n.held.Keep(n.made) // before the first thing is made that outlives this process
}

// situation makes the control groups, and finds out what the rewriting depends
// on.
func (n *creation) situation() (*rewrite.Situation, error) {
	g := n.build.Grant
	cgroups, err := seal.FindCgroups()
	if err != nil {
		return nil, err
	}
	if err := cgroups.CheckSwap(); err != nil {
		return nil, err
	}
	if g.Profile.IOWeight != 0 {
		if err := seal.Weighs(cmp.Or(n.build.Root.Upper, n.inBundle(n.asked.Root.Path))); err != nil {
			return nil, err
		}
	}
	if rewrite.InSlice(n.asked.Linux.CgroupsPath) {
		if n.call.globals.last("systemd-cgroup") != "true" && n.call.globals.last("cgroup-manager") != "systemd" {
			return nil, fault.Errorf(fault.Denied, "linux.cgroupsPath is systemd's, and the runtime is not told to use systemd")
		}
		// systemd makes the groups; the guard has told it the totals.
		if err := cgroups.CheckSlice(rewrite.Slice(g.Team), g.Profile.Total); err != nil {
			return nil, err
		}
	} else {
		n.groups = true
		if err := cgroups.Prepare(g.Team, n.id, g.Profile.Total, g.Profile.IOWeight != 0); err != nil {
			return nil, err
		}
	}
	if n.made.Runtime, err = n.backend(g.Profile.Runtime); err != nil {
		return nil, err
	}
	s := n.hostSituation(n.id)
	s.Mappings, s.Swap, s.Unified = n.made.Runtime.Mappings, cgroups.SwapAccounted(), cgroups.Unified()
	s.HostSpace, s.Node = n.build.Spaces.Host, seal.Node
	program, err := os.Readlink("/proc/self/exe")
	s.SetKey = []string{program, networkHook}
	return &s, err
}

// put builds the container and keeps what it was granted.
func (n *creation) put() error {
	config, users, err := n.build.Build(n.ctx)
	if err != nil {
		return err
	}
	n.made.Users = users
	if err := n.held.Write(configFile, config); err != nil {
		return err
	}
	return n.held.Keep(n.made)
}

// start has the runtime make the container.
func (n *creation) start() error {
	path := n.made.Runtime.Path
	if isCrun(path) {
		if err := seal.HideUnified(); err != nil {
			return err
		}
	}
	f, kinds := n.call.flags, n.call.command.flags
	args := slices.Concat(n.call.globalList(), []string{n.call.name, "--bundle=" + n.held.Path},
		f.list(kinds, "console-socket", "pid-file", "pidfd-socket", "no-subreaper", "detach", "keep"), []string{n.id})
	limits := n.build.Plan.Rlimits
	if limits == nil {
		limits = []specs.POSIXRlimit{}
	}
	n.attended = n.call.name == "run"
	var plan struct {
		Process json.RawMessage `json:"process"`
	}
	if err := json.Unmarshal(n.build.Plan.Config, &plan); err != nil {
		return fault.As(fault.Invalid, err)
	}
	if err := ownStreams(plan.Process, n.build.Grant.IDs); err != nil {
		return err
	}
	var err error
	n.code, err = n.supervise(path, args, limits)
	return err
}

// undo puts away what was made for a container that there is not, or not any
// more. What it mounted is gone with this process.
func (n *creation) undo() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(n.ctx), n.shim.config.deadline())
	defer cancel()
	if n.groups {
		if err := n.emptyGroups(ctx, n.made.Grant.Team, n.id); err != nil {
			return errors.Join(err, n.held.Release()) // its IDs are not another's while something runs with them
		}
	}
	err := n.held.Remove()
	if n.build.Grant != nil {
		n.tell(ctx, n.call.state(), n.id)
	}
	return err
}
