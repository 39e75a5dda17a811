package rewrite

import (
	"encoding/json"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"plimsoll/internal/fault"
)

// maxMounts bounds the mounts of a container, and the paths that are hidden or
// made read-only by one: each costs the kernel memory and the runtime time.
const maxMounts = 512

// mounts writes the list of mounts anew: binds go through the runtime, what
// belongs to the kernel gets options of our own, and nothing else is mounted.
func (w *work) mounts(spec *object) error {
	asked, err := spec.elements("mounts")
	if err != nil {
		return err
	}
	if len(asked) > maxMounts {
		return fault.Errorf(fault.Denied, "mounts: %d are more than %d", len(asked), maxMounts)
	}
	granted := []specs.Mount{}
	for _, raw := range asked {
		m, err := readMount(raw)
		if err != nil {
			return err
		}
		if m.bind() {
			*m, err = w.bindMount(m)
		} else {
			*m, err = w.kernelMount(m)
		}
		if err != nil {
			return err
		}
		granted = append(granted, m.Mount)
	}
	devices, err := w.devices(spec)
	if err != nil {
		return err
	}
	spec.set("mounts", append(granted, devices...))
	return nil
}

// mount is what an engine asks to be mounted, with a clean destination.
type mount struct{ specs.Mount }

func readMount(raw json.RawMessage) (*mount, error) {
	o, err := parse(raw, "mounts", []string{"destination", "type", "source", "options", "uidMappings", "gidMappings"})
	if err != nil {
		return nil, err
	}
	m := &mount{}
	for key, to := range map[string]*string{"destination": &m.Destination, "type": &m.Type, "source": &m.Source} {
		if *to, err = o.text(key); err != nil {
			return nil, err
		}
	}
	if m.Options, err = o.texts("options"); err != nil {
		return nil, err
	}
	if !path.IsAbs(m.Destination) || climbs(m.Destination) || path.Clean(m.Destination) == "/" {
		return nil, fault.Errorf(fault.Denied, "mount on %.80q: not an absolute path below /", m.Destination)
	}
	m.Destination = path.Clean(m.Destination)
	return m, nil
}

// climbs reports whether a path goes up somewhere: what it means then depends on
// symbolic links, so on who reads it.
func climbs(p string) bool {
	return slices.Contains(strings.Split(p, "/"), "..")
}

// bind reports whether m shows what is mounted elsewhere. The option makes it so
// whatever the type (mount(2), MS_BIND).
func (m *mount) bind() bool {
	return m.Type == "bind" || m.Type == "rbind" || slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "rbind")
}

func (m *mount) refuse(format string, args ...any) error {
	return fault.Errorf(fault.Denied, "mount on %.80q: %w", m.Destination, fault.Errorf(fault.Denied, format, args...))
}

// ownNodes are what runtimes make in /dev, or open there while they make a
// container: a volume in their place could hold links that lead them elsewhere
// (CVE-2025-31133, CVE-2025-52565).
var ownNodes = []string{
	"/dev/console", "/dev/core", "/dev/fd", "/dev/full", "/dev/mqueue", "/dev/null", "/dev/ptmx", "/dev/pts",
	"/dev/random", "/dev/stderr", "/dev/stdin", "/dev/stdout", "/dev/tty", "/dev/urandom", "/dev/zero",
}

// free refuses destinations in the kernel's folders: what hides parts of them,
// or is hidden there, is at fixed paths.
func (m *mount) free() error {
	for _, dir := range append([]string{"/proc", "/sys"}, ownNodes...) {
		if within(m.Destination, dir) {
			return m.refuse("nothing of the host is mounted in %s", dir)
		}
	}
	if m.Destination == "/dev" {
		return m.refuse("it holds the container's devices")
	}
	return nil
}

// passed are options of a bind that say nothing but how files are used. Those of
// propagation, and ID maps, are not passed on: what is mounted is a private copy
// with a map of its own.
var passed = []string{
	"noexec", "exec", "noatime", "atime", "nodiratime", "diratime", "relatime", "norelatime", "strictatime", "nostrictatime",
	"sync", "async", "dirsync", "nosymfollow",
}

// bindMount lists m for the runtime to open, and returns what takes its place.
func (w *work) bindMount(m *mount) (mount, error) {
	if err := m.free(); err != nil {
		return *m, err
	}
	if !path.IsAbs(m.Source) || climbs(m.Source) {
		return *m, m.refuse("its source %.80q is not a plain absolute path", m.Source)
	}
	p := Mount{
		Source: m.Source, Destination: m.Destination,
		Target: w.host.Paths.Mounts + strconv.Itoa(len(w.plan.Mounts)),
		NoSuid: !w.grant.Profile.SetuidFiles,
	}
	kind, options := "bind", []string{}
	if m.Type == "rbind" {
		p.Recursive, kind = true, "rbind"
	}
	for _, o := range m.Options {
		switch o {
		case "ro", "rro":
			p.ReadOnly = true
		case "rw", "rrw": // a later option does not take back an earlier one
		case "rbind":
			p.Recursive, kind = true, "rbind"
		case "nosuid":
			p.NoSuid = true
		default:
			plain := o
			if !slices.Contains(passed, o) { // "rnoexec": submounts too
				plain = strings.TrimPrefix(o, "r")
			}
			switch {
			case slices.Contains(passed, plain):
				options = append(options, plain)
			case !harmless(o):
				return *m, m.refuse("the option %.80q of a bind", o)
			}
		}
	}
	mode := "rw"
	if p.ReadOnly {
		mode = "ro"
	}
	options = append([]string{kind, "rprivate", mode, "nodev"}, options...)
	if p.NoSuid {
		options = append(options, "nosuid")
	}
	w.plan.Mounts = append(w.plan.Mounts, p)
	return mount{specs.Mount{Destination: m.Destination, Type: "bind", Source: p.Target, Options: options}}, nil
}

// harmless are options of a bind that are understood, and left out.
func harmless(option string) bool {
	switch option {
	case "bind", "defaults", "suid", "dev", "nodev", "rsuid", "rdev", "rnodev", "rnosuid", "z", "Z", "nocopy", "copy",
		"private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable",
		"idmap", "ridmap", "mand", "nomand", "silent", "loud", "iversion", "noiversion", "lazytime", "nolazytime",
		"symfollow", "acl", "noacl", "remount", "norro":
		return true
	}
	return strings.HasPrefix(option, "idmap=") || strings.HasPrefix(option, "ridmap=")
}
