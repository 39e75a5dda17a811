package rewrite

import (
	"github.com/opencontainers/runtime-spec/specs-go"
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
	spec, err := open(config)
	if err != nil {
		return nil, err
	}
	a := &Asked{Annotations: map[string]string{}}
	root, err := spec.child("root", []string{"path", "readonly"})
	if err != nil {
		return nil, err
	}
	if a.Root, err = root.text("path"); err != nil {
		return nil, err
	}
	notes, err := spec.table("annotations")
	if err != nil {
		return nil, err
	}
	if notes != nil {
		for _, m := range notes.members {
			if own(m.name) {
				a.Annotations[m.name] = unquote(m.value)
			}
		}
	}
	linux, err := spec.child("linux", linuxMembers)
	if err != nil {
		return nil, err
	}
	if a.Cgroup, err = linux.text("cgroupsPath"); err != nil {
		return nil, err
	}
	spaces, err := readSpaces(linux)
	for _, n := range spaces {
		if n.Path != "" {
			a.Join = append(a.Join, n)
		}
	}
	return a, err
}
