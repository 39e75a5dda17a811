// Package rewrite turns what an engine asks of an OCI runtime into what the
// container's team may have: a config.json (OCI runtime-spec, config.md), the
// process of an exec, and the resources of an update. It touches nothing: what
// has to be done on the host stands in the [Plan].
//
// JSON is changed member by member. Members that this package does not know stay
// as they were: they come from the engine, which newer runtimes understand
// better than this package does. What it does know it replaces, intersects with
// the grant, or refuses.
package rewrite

import (
	"github.com/opencontainers/runtime-spec/specs-go"
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
	Paths     Paths
	ID        string // of the container, as the engine calls it
	Mappings  bool   // the runtime behind wants mappings beside the namespace's path (runc before 1.2, crun)
	Swap      bool   // the kernel accounts for swap
	Unified   bool   // control groups are of version 2
	AppArmor  string // profile that the host has loaded for containers, "" if it has no AppArmor
	HostSpace func(kind specs.LinuxNamespaceType, path string) (host bool, err error)
}

// Plan is a container's new configuration, and what must be done before a
// runtime can be given it.
type Plan struct {
	Config []byte

	Root    string   // the engine's root of the container, to be mapped and mounted at Paths.Root
	Mounts  []Mount  // of the host, to be opened, judged, mapped and attached
	Devices []Device // nodes to be made
	Rlimits []specs.POSIXRlimit
	Join    []specs.LinuxNamespace // of other containers, by path: to be checked
}

// Mount is a bind mount that the engine asks for; Target is where the runtime
// is told to find its source.
type Mount struct {
	Source, Target, Destination string
	ReadOnly, Recursive         bool
}

// Device is a node to be made at Target and owned by the container's root.
type Device struct {
	Host, Target string // Host names the node on the host that it is like
}
