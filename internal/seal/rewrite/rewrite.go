package rewrite

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"plimsoll/internal/fault"
	"plimsoll/internal/seal/protocol"
)

// Paths are where the runtime builds the container: on a file system that only
// its own mount namespace has.
type Paths struct {
	Root   string // of the container
	Users  string // the user namespace
	Mounts string // prefix of numbered mounts
	Nodes  string // prefix of numbered device nodes
}

// Situation is what depends on the host.
type Situation struct {
	Paths    Paths
	ID       string // of the container, as the engine calls it
	Arch     string // as GOARCH, "" for this program's
	Mappings bool   // the runtime behind wants mappings beside the namespace's path (runc before 1.2, crun)
	Swap     bool   // the kernel accounts for swap
	Unified  bool   // control groups are of version 2
	AppArmor string // profile that the host has loaded for containers, "" if it has no AppArmor

	// SetKey is the command, path first, that stands in for the hook by which Docker
	// connects a container to its network; that hook's path and arguments follow it.
	// None: the hook stays.
	SetKey []string

	// HostSpace reports whether the namespace at path is the host's own. Without it
	// every path is refused.
	HostSpace func(kind specs.LinuxNamespaceType, path string) (host bool, err error)
	// Node returns what device the node at a path of the host is. Without it every
	// device is refused.
	Node func(path string) (Node, error)
}

// Node is a device of the host.
type Node struct {
	Type         string // "c" or "b"
	Major, Minor int64
}

// Plan is a container's new configuration, and what must be done before a
// runtime can be given it.
type Plan struct {
	Config []byte

	Root    string                 // the engine's root of the container, to be mapped and mounted at Paths.Root; may be relative to the bundle
	Mounts  []Mount                // of the host, to be opened, judged, mapped and attached, in the order of the spec
	Devices []Device               // nodes to be made
	Rlimits []specs.POSIXRlimit    // to be set on the runtime itself before it starts
	Join    []specs.LinuxNamespace // of other containers, by path: to be checked
	// Hooks are programs of the engine that the runtime will start as the host's
	// root: "/proc/PID/exe", to be checked to be the host's and nobody's else.
	Hooks []string
}

// Mount is a bind mount that the engine asks for; Target is where the runtime
// is told to find its source. Whatever lies at Target must be mounted without
// devices, and without setuid files where NoSuid says so, submounts included: the
// spec's options reach the topmost mount only.
type Mount struct {
	Source, Target, Destination string
	ReadOnly, Recursive, NoSuid bool
}

// Device is a node to be made at Target and owned by the container's root.
type Device struct {
	Host, Target string // Host names the node on the host that it is like
}

// Create returns what becomes of an engine's config.json under the grant. The
// error is Invalid for what is no such document, and Denied for what can be
// given neither as it is asked nor as something less.
func Create(config []byte, g *protocol.Grant, s Situation) (*Plan, error) {
	if err := usable(g, s); err != nil {
		return nil, err
	}
	spec, err := open(config)
	if err != nil {
		return nil, err
	}
	w := &work{grant: g, host: s, plan: &Plan{}}
	for _, step := range []func(*object) error{w.process, w.root, w.mounts, w.linux, w.hooks, w.annotations} {
		if err := step(spec); err != nil {
			return nil, err
		}
	}
	w.plan.Config = spec.encode()
	return w.plan, nil
}

// work is the rewriting of one container's document.
type work struct {
	grant *protocol.Grant
	host  Situation
	plan  *Plan
	nodes []specs.LinuxDevice // that the plan's devices are

	update bool // of a container that has limits already
}

var specMembers = []string{
	"ociVersion", "process", "root", "hostname", "domainname", "mounts", "hooks", "annotations",
	"linux", "solaris", "windows", "vm", "zos", "freebsd",
}

// open reads the document of a container.
func open(config []byte) (*object, error) {
	if err := check(config); err != nil {
		return nil, fault.Errorf(fault.Invalid, "config.json: %w", err)
	}
	spec, err := parse(config, "", specMembers)
	if err != nil {
		return nil, err
	}
	for _, other := range []string{"solaris", "windows", "vm", "zos", "freebsd"} {
		if spec.has(other) {
			return nil, fault.Errorf(fault.Denied, "%s: only a Linux container can be sealed", other)
		}
	}
	for _, needed := range []string{"process", "root", "linux"} {
		if !spec.has(needed) {
			return nil, fault.Errorf(fault.Invalid, "config.json has no %s", needed)
		}
	}
	return spec, nil
}

func (w *work) root(spec *object) error {
	root, err := spec.child("root", []string{"path", "readonly"})
	if err != nil {
		return err
	}
	if w.plan.Root, err = root.text("path"); err != nil {
		return err
	}
	if w.plan.Root == "" {
		return fault.Errorf(fault.Invalid, "root.path is missing")
	}
	readOnly, err := root.flag("readonly")
	if err != nil {
		return err
	}
	root.set("path", w.host.Paths.Root)
	root.set("readonly", readOnly || w.grant.Profile.ReadOnly)
	spec.put("root", root.encode())
	return nil
}
