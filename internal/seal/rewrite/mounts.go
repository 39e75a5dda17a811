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

// maxMounts bounds the mounts of a container: each is a file system in the
// kernel.
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

// maxTerminals is how many pseudoterminals a container may open: the kernel
// counts those of all containers against one limit (kernel.pty.max, 4096).
const maxTerminals = 256

// kernelMount returns what becomes of a file system that the kernel provides.
// Each has its place: proc elsewhere would show what is masked in /proc.
func (w *work) kernelMount(m *mount) (mount, error) {
	place, options := "", []string{"nosuid", "noexec", "nodev"}
	switch m.Type {
	case "proc":
		place = "/proc"
		options = append(options, m.kept("ro", "hidepid=", "subset=")...)
	case "sysfs":
		place = "/sys"
		options = append(options, "ro")
	case "cgroup", "cgroup2":
		m.Type, place = "cgroup", "/sys/fs/cgroup"
		options = append(options, "relatime", "ro")
	case "mqueue":
		place = "/dev/mqueue"
	case "devpts":
		place = "/dev/pts"
		options = []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5", "max=" + strconv.Itoa(maxTerminals)}
	case "tmpfs":
		return w.temporary(m)
	default:
		return *m, m.refuse("a file system of the type %.40q", m.Type)
	}
	if m.Destination != place {
		return *m, m.refuse("%s is mounted on %s only", m.Type, place)
	}
	return mount{specs.Mount{Destination: place, Type: m.Type, Source: m.Type, Options: options}}, nil
}

// kept returns those of m's options that are one of names, or start with one
// that ends in "=".
func (m *mount) kept(names ...string) []string {
	var all []string
	for _, o := range m.Options {
		key, v, ok := strings.Cut(o, "=")
		if ok {
			key += "="
		}
		if slices.Contains(names, key) && consists(v, letters+digits) {
			all = append(all, o)
		}
	}
	return all
}

// temporary returns a file system in memory that is no larger than what the
// container may have of it.
func (w *work) temporary(m *mount) (mount, error) {
	options := []string{"nosuid"}
	if m.Destination != "/dev" { // runtimes make nodes there where they can
		options = append(options, "nodev")
		if err := m.free(); err != nil {
			return *m, err
		}
	}
	size := w.grant.Profile.Memory
	for _, o := range m.Options {
		key, v, _ := strings.Cut(o, "=")
		switch key {
		case "noexec", "exec", "ro", "rw", "noatime", "nodiratime", "relatime", "strictatime", "tmpcopyup":
			if key == o {
				options = append(options, o)
			}
		case "mode":
			if len(v) > 5 || v == "" || !consists(v, "01234567") {
				return *m, m.refuse("%.40q is no mode", o)
			}
			options = append(options, o)
		case "uid", "gid":
			if n, err := strconv.ParseUint(v, 10, 16); err == nil {
				options = append(options, key+"="+strconv.FormatUint(n, 10))
				continue
			}
			return *m, m.refuse("%.40q is none of the container's IDs", o)
		case "size":
			if n, ok := amount(v); ok {
				size = min(size, n)
			}
		case "nr_inodes":
			if n, ok := amount(v); ok {
				options = append(options, "nr_inodes="+strconv.FormatInt(n, 10))
			}
		}
	}
	options = append(options, "size="+strconv.FormatInt(size, 10))
	return mount{specs.Mount{Destination: m.Destination, Type: "tmpfs", Source: "tmpfs", Options: options}}, nil
}

// amount returns what a size of tmpfs(5) says: a number, or one with k, m or g.
// There is none for 0, which takes the limit away, and for a part of the host's
// memory.
func amount(s string) (int64, bool) {
	shift := 0
	if s != "" {
		if i := strings.IndexByte("kmg", s[len(s)-1]|0x20); i >= 0 {
			s, shift = s[:len(s)-1], 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n > 1<<62>>shift {
		return 0, false
	}
	return n << shift, true
}

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
