package rewrite

import (
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

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
