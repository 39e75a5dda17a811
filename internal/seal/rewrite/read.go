package rewrite

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"plimsoll/internal/fault"
)

// Asked is what of a config.json the guard is told, before there is a grant.
type Asked struct {
	Root        string                 // of the container; may be relative to the bundle
	Cgroup      string                 // linux.cgroupsPath
	Annotations map[string]string      // those that are the engine's to write
	Join        []specs.LinuxNamespace // namespaces by path: of the host, of other containers, or made by the engine
}

// Read returns what the document asks for. The error is that of [Create] for a
// document that is none.
func Read(config []byte) (*Asked, error) {
	return nil, fault.Errorf(fault.Internal, "not written yet")
}
