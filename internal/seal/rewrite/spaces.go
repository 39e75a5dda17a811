package rewrite

import (
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"plimsoll/internal/fault"
)

// Slice returns the name of the systemd unit that holds the team's containers.
// A dash in a unit's name means "within": the team a-b must not be a part of the
// team a (systemd.slice(5), systemd-escape(1)).
func Slice(team string) string {
	return "plimsoll-" + strings.ReplaceAll(team, "-", `\x2d`) + ".slice"
}

// InSlice reports whether a cgroupsPath names a slice, in which systemd makes the
// control group: "slice:prefix:name".
func InSlice(cgroupsPath string) bool {
	return strings.Count(cgroupsPath, ":") == 2 && !strings.Contains(cgroupsPath, "/")
}

// cgroup returns the container's control group below its team's, in the form
// that the asked one has: "slice:prefix:name" is for the systemd driver.
func cgroup(asked, team, id string) string {
	if InSlice(asked) {
		return Slice(team) + ":plimsoll:" + id
	}
	return "/plimsoll/" + team + "/" + id
}

// private are the namespaces that a container never shares with the host.
var private = []specs.LinuxNamespaceType{
	specs.PIDNamespace, specs.NetworkNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.MountNamespace,
}

// readSpaces returns the namespaces that are asked for.
func readSpaces(linux *object) ([]specs.LinuxNamespace, error) {
	asked, err := linux.elements("namespaces")
	if err != nil {
		return nil, err
	}
	var all []specs.LinuxNamespace
	var seen names
	for _, raw := range asked {
		o, err := parse(raw, "linux.namespaces", []string{"type", "path"})
		if err != nil {
			return nil, err
		}
		kind, err := o.text("type")
		if err != nil {
			return nil, err
		}
		at, err := o.text("path")
		if err != nil {
			return nil, err
		}
		if !seen.add(kind) {
			return nil, fault.Errorf(fault.Invalid, "linux.namespaces: %.40q twice", kind)
		}
		all = append(all, specs.LinuxNamespace{Type: specs.LinuxNamespaceType(kind), Path: at})
	}
	return all, nil
}

// spaces writes the list of namespaces anew: all of them, the user namespace the
// one that the runtime made, none of them the host's.
func (w *work) spaces(linux *object) error {
	asked, err := readSpaces(linux)
	if err != nil {
		return err
	}
	for _, kind := range private {
		if !slices.ContainsFunc(asked, func(n specs.LinuxNamespace) bool { return n.Type == kind }) {
			return hostSpace(kind)
		}
	}
	granted := []specs.LinuxNamespace{{Type: specs.UserNamespace, Path: w.host.Paths.Users}}
	hidden := false // that of control groups, which old engines do not ask for
	for _, n := range asked {
		switch n.Type {
		case specs.UserNamespace:
			continue
		case specs.CgroupNamespace:
			hidden = true
		case specs.PIDNamespace, specs.NetworkNamespace, specs.IPCNamespace, specs.UTSNamespace:
		case specs.MountNamespace, specs.TimeNamespace:
			if n.Path != "" {
				return fault.Errorf(fault.Denied, "linux.namespaces: a %s namespace that exists already", n.Type)
			}
		default:
			return fault.Errorf(fault.Denied, "linux.namespaces: %.40q is none that is known", n.Type)
		}
		if err := w.join(n); err != nil {
			return err
		}
		granted = append(granted, n)
	}
	if !hidden {
		granted = append(granted, specs.LinuxNamespace{Type: specs.CgroupNamespace})
	}
	linux.set("namespaces", granted)
	return nil
}

// join lists a namespace that exists already, unless it is the host's.
func (w *work) join(n specs.LinuxNamespace) error {
	if n.Path == "" {
		return nil
	}
	if !path.IsAbs(n.Path) || climbs(n.Path) {
		return fault.Errorf(fault.Denied, "linux.namespaces: %.80q is not a plain absolute path", n.Path)
	}
	if w.host.HostSpace == nil {
		return fault.Errorf(fault.Denied, "linux.namespaces: %.80q cannot be told from the host's", n.Path)
	}
	host, err := w.host.HostSpace(n.Type, n.Path)
	if err != nil {
		return fault.Errorf(fault.Denied, "linux.namespaces: %.80q: %w", n.Path, err)
	}
	if host {
		return hostSpace(n.Type)
	}
	w.plan.Join = append(w.plan.Join, n)
	return nil
}

func hostSpace(kind specs.LinuxNamespaceType) error {
	return fault.Errorf(fault.Denied, "the host's %s namespace: a sealed container has its own", kind)
}
