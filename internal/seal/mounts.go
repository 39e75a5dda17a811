package seal

import (
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// maxTerminals is how many pseudoterminals a container may open: the kernel
// counts those of all containers against one limit (kernel.pty.max, 4096).
const maxTerminals = 256

// kernelMounts are what every program expects (OCI runtime-spec,
// config-linux.md, "Default Filesystems").
func kernelMounts() []specs.Mount {
	mount := func(target, kind string, options ...string) specs.Mount {
		return specs.Mount{Destination: target, Type: kind, Source: kind, Options: options}
	}
	return []specs.Mount{
		mount("/proc", "proc", "nosuid", "noexec", "nodev"),
		mount("/dev", "tmpfs", "nosuid", "noexec", "strictatime", "mode=755", "size=65536k"),
		mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5", "max="+strconv.Itoa(maxTerminals)),
		mount("/dev/shm", "tmpfs", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),
		mount("/dev/mqueue", "mqueue", "nosuid", "noexec", "nodev"),
		mount("/sys", "sysfs", "nosuid", "noexec", "nodev", "ro"),
		mount("/sys/fs/cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro"),
	}
}

// nameMounts give the container its own name and that of the loopback, the only
// network it has.
func nameMounts() []specs.Mount {
	bind := func(target, source string) specs.Mount {
		return specs.Mount{Destination: target, Type: "bind", Source: source, Options: []string{"bind", "nosuid", "nodev", "noexec"}}
	}
	return []specs.Mount{bind("/etc/hosts", hostsFile), bind("/etc/hostname", nameFile)}
}

// requested are the mounts that a person asked for, at the place where the stage
// puts them when it has judged and mapped them.
func requested(mounts []Mount) []specs.Mount {
	var all []specs.Mount
	for i, m := range mounts {
		mode := "rw"
		if m.ReadOnly {
			mode = "ro"
		}
		all = append(all, specs.Mount{
			Destination: m.Target, Type: "bind", Source: mountPoint(i),
			Options: []string{"bind", "rprivate", "nosuid", "nodev", mode},
		})
	}
	return all
}

func mountPoint(i int) string { return buildDir + "/m" + strconv.Itoa(i) }
