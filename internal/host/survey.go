//go:build linux

package host

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
	"plimsoll/internal/idmap"
)

// Remark is something about a host that a person should know, and what to do.
type Remark struct {
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"`
}

// survey is what a host is like.
type survey struct {
	dockerd  string
	runtimes map[string]string // runc and crun, by name
	daemon   *daemon
	before   []byte   // of the engine's configuration
	args     []string // of the engine's unit, nil without one
	fd       bool     // systemd hands the engine its socket
	systemd  bool
	unsealed []string // names of containers that another runtime runs
	sealed   []string // of those that ours runs
}

// obstacles collects why nothing can be changed.
type obstacles []Remark

func (o *obstacles) add(hint, format string, args ...any) {
	*o = append(*o, Remark{fmt.Sprintf(format, args...), hint})
}

func (o *obstacles) err(err error) {
	if err != nil {
		*o = append(*o, Remark{err.Error(), fault.HintOf(err)})
	}
}

// survey looks at the host. What stands in the way is in the second result.
func (h Host) survey() (*survey, obstacles) {
	s, o := &survey{runtimes: map[string]string{}}, obstacles{}
	if k := h.kernel(); !newEnough(k) {
		o.add("update the kernel", "the kernel is %q; layers of images are mapped by %s or later", k, minKernel)
	}
	if s.dockerd = h.find("dockerd"); s.dockerd == "" {
		o.add("apt-get install docker.io", "there is no dockerd in %s", strings.Join(searchPath, ", "))
	}
	for _, r := range []string{"runc", "crun"} {
		if p := h.find(r); p != "" {
			s.runtimes[r] = p
		}
	}
	if s.runtimes["runc"] == "" {
		o.add("apt-get install runc", "there is no runc in %s", strings.Join(searchPath, ", "))
	}
	h.surveyDaemon(s, &o)
	h.surveyUnit(s, &o)
	if s.daemon != nil {
		h.surveyContainers(s, &o)
	}
	o.err(h.ranges())
	return s, o
}

// surveyDaemon reads the engine's configuration.
func (h Host) surveyDaemon(s *survey, o *obstacles) {
	b, err := h.read(DaemonJSON)
	if err != nil && !absent(err) {
		o.err(err)
		return
	}
	d, err := parseDaemon(b)
	if err != nil {
		o.add("dockerd --validate --config-file "+DaemonJSON, "%s: %v", DaemonJSON, err)
		return
	}
	s.daemon, s.before = d, b
	if len(d.Hosts) > 0 {
		o.add(`remove "hosts" from `+DaemonJSON+": everybody comes through the guard's socket", "%s: the engine listens on %q", DaemonJSON, d.Hosts)
	}
	if d.Remap != "" {
		o.add(`remove "userns-remap" from `+DaemonJSON+": each container gets a user namespace of its own", "%s: userns-remap is %q, and its images and containers are elsewhere", DaemonJSON, d.Remap)
	}
	if d.Default != "" && d.Default != "runc" {
		o.add(`remove "default-runtime" from `+DaemonJSON, "%s: the default runtime is %q", DaemonJSON, d.Default)
	}
	if _, ok := d.Runtimes[name]; ok || slices.Contains(d.Plugins, name) {
		o.add(`remove the runtime and the plugin "plimsoll" from `+DaemonJSON, "%s: somebody else has entered plimsoll", DaemonJSON)
	}
	if h.exists(filepath.Join(d.dataRoot(), "swarm", "docker-state.json")) {
		o.add("docker swarm leave --force", "the engine is in a swarm: other hosts can start what they like on it")
	}
}

// surveyUnit reads how the engine is started.
func (h Host) surveyUnit(s *survey, o *obstacles) {
	u, err := h.unit("docker.service")
	if err != nil || u == nil {
		o.err(err)
		return
	}
	s.systemd = true
	if s.args, err = h.args(u); err != nil {
		o.err(err)
		return
	}
	for _, host := range flag(s.args, "host", "H") {
		if host != "fd://" {
			o.add("remove it from the unit, or from /etc/default/docker", "%s: the engine is started with the host %q", u.path, host)
		}
		s.fd = true
	}
	for _, f := range []string{"userns-remap", "authorization-plugin", "default-runtime", "add-runtime"} {
		if v := flag(s.args, f, ""); len(v) > 0 {
			o.add("move it into "+DaemonJSON, "%s: the engine is started with --%s %s, which its configuration file cannot change", u.path, f, v[0])
		}
	}
	for _, f := range []string{"config-file", "data-root"} {
		if v := flag(s.args, f, ""); len(v) > 0 && (f != "config-file" || v[0] != DaemonJSON) {
			o.add("remove it from the unit", "%s: the engine is started with --%s %s", u.path, f, v[0])
		}
	}
	if !s.fd {
		return
	}
	socket, err := h.unit("docker.socket")
	switch {
	case err != nil:
		o.err(err)
	case socket == nil || len(socket.settings) == 0:
		o.add("systemctl unmask docker.socket", "the engine gets its socket from docker.socket, which is not there or masked")
	default:
		for _, l := range socket.values("Socket", "ListenStream") {
			if l != PublicSocket && l != "/var"+PublicSocket {
				o.add("remove it: everybody comes through the guard's socket", "%s: the engine listens on %q", socket.path, l)
			}
		}
	}
}

// kept is what the engine writes down about a container.
type kept struct {
	Name    string
	State   struct{ Running bool }
	Runtime string
}

// surveyContainers looks at the containers that are there. An engine keeps the
// runtime that a container was made with, so these would go on to run unsealed.
func (h Host) surveyContainers(s *survey, o *obstacles) {
	folder := filepath.Join(s.daemon.dataRoot(), "containers")
	entries, err := os.ReadDir(h.at(folder))
	if err != nil {
		if !absent(err) {
			o.err(fault.As(fault.Unavailable, err))
		}
		return
	}
	for _, e := range entries {
		var k kept
		var err error
		for _, file := range []string{"config.v2.json", "hostconfig.json"} {
			if e := h.readJSON(filepath.Join(folder, e.Name(), file), &k); e != nil && !absent(e) {
				err = e
			}
		}
		text := strings.TrimPrefix(k.Name, "/")
		if text == "" {
			text = e.Name()
		}
		switch {
		case err != nil:
			o.err(err)
		case k.Runtime == name:
			s.sealed = append(s.sealed, text)
		default:
			s.unsealed = append(s.unsealed, text)
		}
	}
}

func (h Host) readJSON(path string, v any) error {
	b, err := durable.ReadFile(h.at(path), 16<<20)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fault.Errorf(fault.Invalid, "%q: %w", path, err)
	}
	return nil
}

// ranges is an error if the host's user IDs for containers are not free.
func (h Host) ranges() error {
	_, _, err := h.hostRange()
	return err
}

// hostRange returns the IDs that containers get, and whether the host's files say
// so or it is only the default.
func (h Host) hostRange() (idmap.Range, bool, error) {
	var both [2][]idmap.SubID
	named := false
	for i, file := range []string{"/etc/subuid", "/etc/subgid"} {
		b, err := h.read(file)
		if err != nil && !absent(err) {
			return idmap.Range{}, false, fault.As(fault.Unavailable, err)
		}
		if both[i], err = idmap.ParseSubIDs(b); err != nil {
			return idmap.Range{}, false, fmt.Errorf("%s: %w", file, err)
		}
		named = named || slices.ContainsFunc(both[i], func(e idmap.SubID) bool { return e.Name == idmap.Owner })
	}
	r, err := idmap.HostRange(both[0], both[1])
	return r, named, err
}

// replaceable is an error if the file path is not one that may be replaced whole:
// somebody keeps it elsewhere, under two names, or it is no file.
func (h Host) replaceable(path string) error {
	info, err := os.Lstat(h.at(path))
	if absent(err) {
		return nil
	}
	if err != nil {
		return fault.As(fault.Unavailable, err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return fault.Hint(fault.Errorf(fault.Conflict, "%s is no file of its own (%v)", path, info.Mode().Type()), "put a file there")
	case !ok || st.Nlink != 1:
		return fault.Errorf(fault.Conflict, "%s has another name", path)
	case st.Uid != 0:
		return fault.Errorf(fault.Conflict, "%s is not root's", path)
	}
	return nil
}

// same reports whether the host's file path holds b.
func (h Host) same(path string, b []byte) bool {
	now, err := durable.ReadFile(h.at(path), maxBinary)
	return err == nil && bytes.Equal(now, b)
}
