package seal

import (
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/profile"
)

// hostPaths may not be mounted, nor may a folder that holds one of them: kernel
// interfaces, engines' sockets and stores, and the accounts of the host.
var hostPaths = []string{
	"/proc", "/sys", "/dev", "/run/docker.sock", "/run/docker", "/run/containerd", "/run/crio", "/run/podman", "/run/plimsoll",
	"/run/systemd", "/run/dbus", "/var/lib/docker", "/var/lib/containerd", "/var/lib/containers", "/var/lib/kubelet",
	"/var/lib/plimsoll", "/etc/plimsoll", "/etc/shadow", "/etc/sudoers", "/root/.ssh", "/boot",
}

// Judge says whether the file or folder that lies at the real path (links
// resolved by the kernel when it was opened) may be mounted. It returns whether
// the mount must be read-only, and a Denied error if it may not be mounted at
// all. protected are further paths that must stay out of reach.
func Judge(real string, m Mount, allowed []profile.Mount, protected []string) (readOnly bool, err error) {
	if !strings.HasPrefix(real, "/") || strings.HasSuffix(real, " (deleted)") {
		return false, fault.Errorf(fault.Denied, "mount of %q: it has no path on this host", m.Source)
	}
	for _, list := range [][]string{hostPaths, protected} {
		for _, p := range list {
			if within(real, p) || within(p, real) {
				return false, fault.Errorf(fault.Denied, "mount of %q: %q is or holds %q, which no container may reach", m.Source, real, p)
			}
		}
	}
	found := false
	for _, a := range allowed {
		if !covers(a.Path, real) {
			continue
		}
		if a.Writable || m.ReadOnly {
			return m.ReadOnly, nil
		}
		found = true
	}
	if found {
		err := fault.Errorf(fault.Denied, "mount of %q: the profile allows %q to be read only", m.Source, real)
		return false, fault.Hint(err, "--mount %s:%s:ro", m.Source, m.Target)
	}
	return false, fault.Errorf(fault.Denied, "mount of %q: the profile does not allow %q", m.Source, real)
}

// covers reports whether the pattern, a path that may end in "/**", covers real.
// "/srv/x/**" covers /srv/x itself and all below it.
func covers(pattern, real string) bool {
	if dir, ok := strings.CutSuffix(pattern, "/**"); ok {
		return dir != "" && within(real, dir)
	}
	return pattern == real
}
