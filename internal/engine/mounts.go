package engine

import (
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"plimsoll/internal/fault"
	"plimsoll/internal/seal"
)

// mounts judges everything that would be mounted, in all the ways to say it, and
// rewrites host paths into the one way in which an engine makes no folders of its
// own. It returns the names of volumes.
func (q *request) mounts(body *container.CreateRequest) ([]string, error) {
	h := body.HostConfig
	if h.VolumeDriver != "" && h.VolumeDriver != "local" {
		return nil, denied("HostConfig.VolumeDriver: %q may not be chosen", clip(h.VolumeDriver))
	}
	var names []string
	var binds []string
	for _, b := range h.Binds {
		m, plain, err := parseBind(b)
		if err != nil {
			return nil, err
		}
		if m.Type == mount.TypeBind {
			h.Mounts = append(h.Mounts, m)
			continue
		}
		if m.Source != "" {
			names = append(names, m.Source)
		}
		binds = append(binds, plain)
	}
	h.Binds = binds
	for i := range h.Mounts {
		name, err := q.checkMount(&h.Mounts[i])
		if err != nil {
			return nil, err
		}
		if name != "" {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if err := q.ensureVolume(name); err != nil {
			return nil, err
		}
	}
	if err := q.volumesFrom(h, &names); err != nil {
		return nil, err
	}
	return names, checkTmpfs(h.Tmpfs)
}

// parseBind reads "[SOURCE:]TARGET[:OPTIONS]". A bind of a host path comes back
// as a mount, one of a volume as it was.
func parseBind(s string) (mount.Mount, string, error) {
	parts := strings.Split(s, ":")
	m := mount.Mount{Type: mount.TypeVolume, Target: parts[0]}
	switch len(parts) {
	case 1:
		return m, s, checkMountPoint(m.Target)
	case 2, 3:
		m.Source, m.Target = parts[0], parts[1]
	default:
		return m, "", denied("HostConfig.Binds: %q has more than three parts", clip(s))
	}
	if len(parts) == 3 {
		if err := bindOptions(&m, parts[2]); err != nil {
			return m, "", err
		}
	}
	if err := checkMountPoint(m.Target); err != nil {
		return m, "", err
	}
	if strings.HasPrefix(m.Source, "/") {
		m.Type = mount.TypeBind
		m.Source = strings.TrimSuffix(m.Source, "/")
		if m.Source == "" {
			m.Source = "/"
		}
		return m, "", nil
	}
	m.BindOptions = nil
	return m, s, nil
}

func bindOptions(m *mount.Mount, options string) error {
	for o := range strings.SplitSeq(options, ",") {
		switch o {
		case "ro":
			m.ReadOnly = true
		case "rw", "consistent", "cached", "delegated", "nocopy", "rprivate", "private":
		default:
			return denied("HostConfig.Binds: the option %q may not be given", clip(o))
		}
	}
	return nil
}

// checkMountPoint judges where in a container something is mounted.
func checkMountPoint(target string) error {
	if !path.IsAbs(target) || strings.ContainsAny(target, ":\x00") || path.Clean(target) == "/" {
		return denied("mount at %q: not a path below / in the container", clip(target))
	}
	return nil
}

// checkMount judges one of HostConfig.Mounts and returns the volume's name.
func (q *request) checkMount(m *mount.Mount) (volume string, err error) {
	if err := checkMountPoint(m.Target); err != nil {
		return "", err
	}
	m.Consistency = ""
	switch m.Type {
	case mount.TypeBind:
		if m.VolumeOptions != nil || m.TmpfsOptions != nil || m.ImageOptions != nil || m.ClusterOptions != nil {
			return "", denied("HostConfig.Mounts: a bind has no such options")
		}
		return "", q.checkHostPath(m)
	case mount.TypeVolume:
		return m.Source, checkVolumeMount(m)
	case mount.TypeTmpfs:
		return "", q.checkTmpfsMount(m)
	default:
		return "", denied("HostConfig.Mounts: the type %q may not be asked for", clip(string(m.Type)))
	}
}

// checkHostPath says early, and in words, what the runtime will decide about the
// path that it opens.
func (q *request) checkHostPath(m *mount.Mount) error {
	if o := m.BindOptions; o != nil {
		if !slices.Contains([]mount.Propagation{"", mount.PropagationPrivate, mount.PropagationRPrivate}, o.Propagation) {
			return denied("HostConfig.Mounts: the propagation %q may not be asked for", clip(string(o.Propagation)))
		}
		if o.CreateMountpoint {
			return denied("HostConfig.Mounts: CreateMountpoint may not be asked for")
		}
	}
	if !path.IsAbs(m.Source) || path.Clean(m.Source) != m.Source {
		return denied("mount of %q: not a clean absolute path", clip(m.Source))
	}
	at := seal.Mount{Source: m.Source, Target: path.Clean(m.Target), ReadOnly: m.ReadOnly}
	if _, err := seal.Judge(m.Source, at, q.profile.Mounts, q.p.Protected); err != nil {
		return err
	}
	real, err := filepath.EvalSymlinks(m.Source)
	if err != nil {
		return fault.Hint(denied("mount of %q: it is not there, and folders of the host are not made for containers", m.Source), "mkdir it first")
	}
	if _, err := seal.Judge(real, at, q.profile.Mounts, q.p.Protected); err != nil {
		return err
	}
	m.Source = real
	return nil
}

var volumeName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$`)

func checkVolumeMount(m *mount.Mount) error {
	if m.BindOptions != nil || m.TmpfsOptions != nil || m.ImageOptions != nil || m.ClusterOptions != nil {
		return denied("HostConfig.Mounts: a volume has no such options")
	}
	if o := m.VolumeOptions; o != nil {
		if d := o.DriverConfig; d != nil && (d.Name != "" && d.Name != "local" || len(d.Options) > 0) {
			return denied("HostConfig.Mounts: VolumeOptions.DriverConfig may not be asked for")
		}
		o.DriverConfig = nil
		if o.Subpath != "" && !filepath.IsLocal(o.Subpath) {
			return denied("HostConfig.Mounts: the subpath %q leaves the volume", clip(o.Subpath))
		}
		return checkLabels(o.Labels)
	}
	return nil
}

func (q *request) checkTmpfsMount(m *mount.Mount) error {
	if m.BindOptions != nil || m.VolumeOptions != nil || m.ImageOptions != nil || m.ClusterOptions != nil || m.Source != "" {
		return denied("HostConfig.Mounts: a tmpfs has no such options")
	}
	if o := m.TmpfsOptions; o != nil {
		if len(o.Options) > 0 {
			return denied("HostConfig.Mounts: TmpfsOptions.Options may not be asked for")
		}
		if o.SizeBytes < 0 || o.SizeBytes > q.profile.Memory {
			return above("tmpfs", "%d bytes", q.profile.Memory)
		}
	}
	return nil
}

var tmpfsOption = regexp.MustCompile(`^(rw|ro|noexec|nosuid|nodev|noatime|(size|mode|uid|gid|nr_inodes)=[0-9]+[kmgKMG]?)$`)

// checkTmpfs judges options of file systems in memory. What they hold counts
// towards the container's memory.
func checkTmpfs(all map[string]string) error {
	for target, options := range all {
		if err := checkMountPoint(target); err != nil {
			return err
		}
		for o := range strings.SplitSeq(options, ",") {
			if o != "" && !tmpfsOption.MatchString(o) {
				return denied("HostConfig.Tmpfs: the option %q may not be given", clip(o))
			}
		}
	}
	return nil
}

// volumesFrom judges whose volumes are taken over; the containers are passed on
// by ID.
func (q *request) volumesFrom(h *container.HostConfig, names *[]string) error {
	for i, from := range h.VolumesFrom {
		name, mode, ok := strings.Cut(from, ":")
		if ok && mode != "ro" && mode != "rw" {
			return denied("HostConfig.VolumesFrom: the mode %q may not be given", clip(mode))
		}
		c, err := q.container(name)
		if err != nil {
			return err
		}
		*names = append(*names, c.Volumes...)
		h.VolumesFrom[i] = c.ID
		if ok {
			h.VolumesFrom[i] += ":" + mode
		}
	}
	return nil
}
