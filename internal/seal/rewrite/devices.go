package rewrite

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"

	"plimsoll/internal/fault"
)

// devices returns mounts of the nodes that the runtime makes for those devices
// that are asked for and in the profile; the rest is left out. A name must mean
// what it means on the host: an engine gives any device any name.
func (w *work) devices(spec *object) ([]specs.Mount, error) {
	linux, err := spec.child("linux", linuxMembers)
	if err != nil {
		return nil, err
	}
	asked, err := linux.elements("devices")
	if err != nil {
		return nil, err
	}
	var all []specs.Mount
	for _, raw := range asked {
		d, err := readDevice(raw)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(w.grant.Profile.Devices, d.Path) || slices.ContainsFunc(w.plan.Devices, func(o Device) bool { return o.Host == d.Path }) {
			continue
		}
		if slices.Contains(ownNodes, d.Path) {
			continue // runtimes give it to every container
		}
		if err := w.sameNode(d); err != nil {
			return nil, err
		}
		target := w.host.Paths.Nodes + strconv.Itoa(len(w.plan.Devices))
		w.plan.Devices = append(w.plan.Devices, Device{Host: d.Path, Target: target})
		w.nodes = append(w.nodes, *d)
		all = append(all, specs.Mount{Destination: d.Path, Type: "bind", Source: target, Options: []string{"bind", "rprivate", "nosuid", "noexec"}})
	}
	return all, nil
}

func readDevice(raw json.RawMessage) (*specs.LinuxDevice, error) {
	o, err := parse(raw, "linux.devices", []string{"path", "type", "major", "minor", "fileMode", "uid", "gid"})
	if err != nil {
		return nil, err
	}
	d := &specs.LinuxDevice{}
	if d.Path, err = o.text("path"); err != nil {
		return nil, err
	}
	if d.Type, err = o.text("type"); err != nil {
		return nil, err
	}
	if d.Major, _, err = o.number("major"); err != nil {
		return nil, err
	}
	d.Minor, _, err = o.number("minor")
	return d, err
}

func (w *work) sameNode(d *specs.LinuxDevice) error {
	if w.host.Node == nil {
		return fault.Errorf(fault.Unavailable, "device %q: the host's devices cannot be looked at", d.Path)
	}
	n, err := w.host.Node(d.Path)
	if err != nil {
		return fault.Errorf(fault.Unavailable, "device %q: %w", d.Path, err)
	}
	if n != (Node{d.Type, d.Major, d.Minor}) || d.Type != "c" && d.Type != "b" {
		return fault.Errorf(fault.Denied, "device %q: the engine means another one, %s %d:%d", d.Path, d.Type, d.Major, d.Minor)
	}
	return nil
}
