package engine

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"

	"plimsoll/internal/fault"
)

// checkPrivileges judges what would lift a container above its profile. The
// runtime grants no more than the profile either way; here it is said.
func (q *request) checkPrivileges(h *container.HostConfig) error {
	for _, name := range h.CapAdd {
		bare := strings.TrimPrefix(strings.ToUpper(name), "CAP_")
		if !slices.Contains(q.profile.Capabilities, bare) {
			return denied("HostConfig.CapAdd: the profile does not grant %q", name)
		}
	}
	for _, o := range h.SecurityOpt {
		if !slices.Contains([]string{"no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"}, o) {
			return denied("HostConfig.SecurityOpt: %q may not be asked for", clip(o))
		}
	}
	if h.OomScoreAdj < 0 || h.OomScoreAdj > 1000 {
		return denied("HostConfig.OomScoreAdj must be between 0 and 1000")
	}
	if h.Runtime != "" && h.Runtime != q.profile.Runtime && h.Runtime != q.p.Runtime {
		return fault.Hint(denied("HostConfig.Runtime: %q may not be chosen", clip(h.Runtime)), "leave out --runtime")
	}
	h.Runtime = q.p.Runtime
	if h.Isolation != "" && h.Isolation != "default" {
		return denied("HostConfig.Isolation may not be asked for")
	}
	h.Isolation = ""
	for i := range h.Devices {
		if err := q.checkDevice(&h.Devices[i]); err != nil {
			return err
		}
	}
	return checkSysctls(h.Sysctls)
}

func (q *request) checkDevice(d *container.DeviceMapping) error {
	if !slices.Contains(q.profile.Devices, d.PathOnHost) {
		return denied("HostConfig.Devices: the profile does not grant %q", clip(d.PathOnHost))
	}
	if d.PathInContainer == "" {
		d.PathInContainer = d.PathOnHost
	}
	if !strings.HasPrefix(d.PathInContainer, "/dev/") || path.Clean(d.PathInContainer) != d.PathInContainer {
		return denied("HostConfig.Devices: %q is not a plain path below /dev", clip(d.PathInContainer))
	}
	if strings.Trim(d.CgroupPermissions, "rw") != "" {
		return denied("HostConfig.Devices: of the permissions only r and w may be asked for")
	}
	if d.CgroupPermissions == "" {
		d.CgroupPermissions = "rw"
	}
	return nil
}

// sysctls are those of a container's own namespaces that change nothing for
// others and give nothing away.
var sysctls = regexp.MustCompile(`^(net\.ipv4\.ip_unprivileged_port_start|net\.ipv4\.ping_group_range|net\.ipv4\.ip_local_port_range|net\.core\.somaxconn|` +
	`net\.ipv4\.tcp_[a-z0-9_]+|net\.ipv6\.conf\.[a-z0-9]+\.disable_ipv6|kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|fs\.mqueue\.[a-z_]+)$`)

func checkSysctls(all map[string]string) error {
	for name, value := range all {
		if !sysctls.MatchString(name) {
			return denied("HostConfig.Sysctls: %q may not be set", clip(name))
		}
		if len(value) > 64 || strings.ContainsAny(value, "\n\x00/") {
			return denied("HostConfig.Sysctls: %q has a value that is none", clip(name))
		}
	}
	return nil
}

// checkNamespaces judges whose namespaces a container shares: its own, or those
// of a container of the team.
func (q *request) checkNamespaces(h *container.HostConfig) error {
	if h.UTSMode != "" || h.UsernsMode != "" {
		return denied("HostConfig.UTSMode and UsernsMode may not be asked for")
	}
	if h.CgroupnsMode != "" && h.CgroupnsMode != "private" {
		return denied("HostConfig.CgroupnsMode: only private may be asked for")
	}
	pid, err := q.shared("PidMode", string(h.PidMode), "")
	if err != nil {
		return err
	}
	ipc, err := q.shared("IpcMode", string(h.IpcMode), "", "private", "none", "shareable")
	if err != nil {
		return err
	}
	h.PidMode, h.IpcMode = container.PidMode(pid), container.IpcMode(ipc)
	return nil
}

// shared judges a namespace's mode: one of the plain ones, or that of a container
// of the team, which is passed on by its ID.
func (q *request) shared(field, mode string, plain ...string) (string, error) {
	if slices.Contains(plain, mode) {
		return mode, nil
	}
	name, ok := strings.CutPrefix(mode, "container:")
	if !ok {
		return "", denied("HostConfig.%s: %q may not be asked for", field, clip(mode))
	}
	c, err := q.container(name)
	if err != nil {
		return "", err
	}
	return "container:" + c.ID, nil
}

// logOptions are those of log drivers that write to the engine's own folder.
var logOptions = []string{"max-size", "max-file", "compress", "mode", "max-buffer-size", "labels", "env"}

// logBounds are what may be said of a log's size: "-1" would be no end.
var logBounds = map[string]*regexp.Regexp{
	"max-size": regexp.MustCompile(`^[1-9][0-9]{0,2}[kKmM]$|^[1-9][0-9]{0,8}$`),
	"max-file": regexp.MustCompile(`^[1-9][0-9]?$`),
}

// checkEnvironment judges what surrounds a container: its log, its other names,
// its links.
func (q *request) checkEnvironment(h *container.HostConfig) error {
	if !slices.Contains([]string{"", "json-file", "local", "none"}, h.LogConfig.Type) {
		return denied("HostConfig.LogConfig: the driver %q may not be chosen", clip(h.LogConfig.Type))
	}
	for name, value := range h.LogConfig.Config {
		if bound, ok := logBounds[name]; ok && !bound.MatchString(value) {
			return denied("HostConfig.LogConfig: %s=%q: a log has an end", name, clip(value))
		}
		if !slices.Contains(logOptions, name) {
			return denied("HostConfig.LogConfig: the option %q may not be given", clip(name))
		}
	}
	for i, link := range h.Links {
		name, alias, ok := strings.Cut(link, ":")
		if !ok {
			alias = strings.TrimPrefix(name, "/")
		}
		c, err := q.container(name)
		if err != nil {
			return err
		}
		if !containerName.MatchString(alias) || strings.HasPrefix(alias, "/") {
			return denied("HostConfig.Links: %q is no alias", clip(alias))
		}
		h.Links[i] = c.ID + ":" + alias
	}
	switch h.RestartPolicy.Name {
	case "", "no", "always", "unless-stopped", "on-failure":
		return nil
	}
	return denied("HostConfig.RestartPolicy: %q is none", clip(string(h.RestartPolicy.Name)))
}

// checkPorts judges which ports of the host are published.
func (q *request) checkPorts(h *container.HostConfig) error {
	for port, bindings := range h.PortBindings {
		if len(bindings) == 0 {
			return denied("HostConfig.PortBindings: %s has no port of the host", port)
		}
		for _, b := range bindings {
			if err := q.checkPort(b.HostPort); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkPort judges a port, or a range of which the engine picks one.
func (q *request) checkPort(s string) error {
	low, high, ok := portsOf(s)
	if !ok {
		err := denied("HostConfig.PortBindings: %q is no port of the host", clip(s))
		return fault.Hint(err, "-p HOSTPORT:PORT, with a host port among %s", strings.Join(q.profile.Network.Publish, ", "))
	}
	for _, granted := range q.profile.Network.Publish {
		if from, to, ok := portsOf(granted); ok && from <= low && high <= to {
			return nil
		}
	}
	err := denied("HostConfig.PortBindings: the profile does not let port %s be published", s)
	if len(q.profile.Network.Publish) == 0 {
		return fault.Hint(err, "the profile publishes no ports")
	}
	return fault.Hint(err, "a host port among %s", strings.Join(q.profile.Network.Publish, ", "))
}

func portsOf(s string) (low, high uint64, ok bool) {
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	low, err := strconv.ParseUint(first, 10, 16)
	if err != nil {
		return 0, 0, false
	}
	if high, err = strconv.ParseUint(last, 10, 16); err != nil {
		return 0, 0, false
	}
	return low, high, low > 0 && high >= low
}
