//go:build linux

package host

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"plimsoll/internal/fault"
)

// Check is one link of the chain that was looked at.
type Check struct {
	Name  string `json:"name"`
	State string `json:"state"` // Good, Bad or Note
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"`
}

// The states of a check. A note is for the administrator to judge: the chain holds
// without it.
const (
	Good = "good"
	Bad  = "bad"
	Note = "note"
)

// Questions are what [Host.Doctor] cannot find out by itself.
type Questions struct {
	// Policy says in words which policy there is, or why there is none.
	Policy func() (string, error)
}

// doctor collects checks.
type doctor struct {
	host   Host
	checks []Check
}

func (d *doctor) add(name, state, hint, format string, args ...any) {
	d.checks = append(d.checks, Check{name, state, fmt.Sprintf(format, args...), hint})
}

// is adds a check that is good with text, or bad because of err.
func (d *doctor) is(name string, err error, format string, args ...any) {
	if err != nil {
		d.add(name, Bad, fault.HintOf(err), "%v", err)
		return
	}
	d.add(name, Good, "", format, args...)
}

// Doctor looks at every link of the chain between a request and a container. It
// changes nothing; to see that an unjudged request is denied it sends one that
// would find no container.
func (h Host) Doctor(ctx context.Context, q Questions) []Check {
	d := &doctor{host: h}
	d.kernel()
	d.cgroups()
	d.ranges()
	text, err := q.Policy()
	if err != nil && fault.HintOf(err) == "" {
		err = fault.Hint(err, "plimsoll policy lint FILE")
	}
	d.is("policy", err, "%s", text)
	d.installation()
	runtime := d.configuration()
	d.runtime(runtime)
	d.sockets()
	d.guard(ctx)
	d.engine(ctx, runtime)
	s, _ := h.survey()
	d.unsealed(s)
	d.quota(s)
	d.apparmor()
	d.records(s)
	return d.checks
}

// Healthy reports whether no check is bad.
func Healthy(checks []Check) bool {
	return !slices.ContainsFunc(checks, func(c Check) bool { return c.State == Bad })
}

func (d *doctor) kernel() {
	k := d.host.kernel()
	if !newEnough(k) {
		d.add("kernel", Bad, "update the kernel", "%s: images' layers are mapped by %s or later", k, minKernel)
		return
	}
	d.add("kernel", Good, "", "%s", k)
}

func (d *doctor) cgroups() {
	var lack []string
	version := "1"
	if b, err := d.host.read("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		version = "2"
		for _, c := range []string{"cpu", "memory", "pids"} {
			if !slices.Contains(strings.Fields(string(b)), c) {
				lack = append(lack, c)
			}
		}
	} else {
		for _, c := range []string{"cpu", "memory", "pids", "devices"} {
			if !d.host.exists("/sys/fs/cgroup/" + c) {
				lack = append(lack, c)
			}
		}
	}
	if len(lack) > 0 {
		d.add("cgroups", Bad, "mount the cgroup file system with these controllers", "version %s without %s", version, strings.Join(lack, ", "))
		return
	}
	d.add("cgroups", Good, "", "version %s", version)
}

func (d *doctor) ranges() {
	r, named, err := d.host.hostRange()
	switch {
	case err != nil:
		d.is("user IDs", err, "")
	case !named:
		d.add("user IDs", Note, fmt.Sprintf("a line plimsoll:%d:%d in /etc/subuid and in /etc/subgid", r.Base, r.Size), "%s, which nobody reserved", r)
	default:
		d.add("user IDs", Good, "", "%s, for %d containers and teams", r, r.Slots())
	}
}

// installation compares what was installed with what is there.
func (d *doctor) installation() {
	j, err := d.host.journal()
	switch {
	case err != nil:
		d.is("installation", err, "")
		return
	case j == nil:
		d.add("installation", Bad, "plimsoll guard install", "the guard is not installed")
		return
	case j.State != installed:
		d.add("installation", Bad, "plimsoll guard uninstall, then install again", "it was cut short")
		return
	}
	var changed []string
	for _, e := range j.Entries {
		now, err := d.host.look(e.Path)
		// What administrators may change is looked at for what it says.
		if err == nil && !now.same(e.After) && e.Path != DaemonJSON && e.Path != runtimeJSON {
			changed = append(changed, e.Path)
		}
	}
	if len(changed) > 0 {
		d.add("installation", Bad, "look at them; plimsoll guard uninstall and install write them anew", "changed since: %s", strings.Join(changed, ", "))
		return
	}
	d.add("installation", Good, "", "%d files and folders as they were installed", len(j.Entries))
}

// configuration looks at the engine's configuration file, as the next start of
// the engine will see it, and returns the runtime's path.
func (d *doctor) configuration() string {
	b, err := d.host.read(DaemonJSON)
	var c *daemon
	if err == nil {
		c, err = parseDaemon(b)
	}
	if err != nil {
		d.is("configuration", fault.Hint(fmt.Errorf("%s: %w", DaemonJSON, err), "plimsoll guard install"), "")
		return ""
	}
	var wrong []string
	path := c.Runtimes[name].Path
	for what, bad := range map[string]bool{
		"the runtime plimsoll is not registered":      path == "",
		"the default runtime is not plimsoll":         c.Default != name,
		"the authorization plugin is not plimsoll":    !slices.Contains(c.Plugins, name),
		"userns-remap is set":                         c.Remap != "",
		"the engine listens elsewhere than it should": len(c.Hosts) > 0 && !slices.Equal(c.Hosts, []string{"unix://" + EngineSocket}),
	} {
		if bad {
			wrong = append(wrong, what)
		}
	}
	slices.Sort(wrong)
	if len(wrong) > 0 {
		d.add("configuration", Bad, "plimsoll guard uninstall, then install", "%s: %s", DaemonJSON, strings.Join(wrong, "; "))
		return path
	}
	d.add("configuration", Good, "", "%s names the runtime and the plugin", DaemonJSON)
	return path
}

// runtime looks at the runtime's file: only root can change it, it was built with
// this program, and its configuration names runtimes that only root can change.
func (d *doctor) runtime(path string) {
	if path == "" {
		d.add("runtime", Bad, "plimsoll guard install", "none is registered")
		return
	}
	hint := "put the plimsoll-runtime of this release at " + path
	if err := d.host.ownedByRoot(path); err != nil {
		d.add("runtime", Bad, hint, "%v", err)
		return
	}
	theirs, err := buildinfo.ReadFile(d.host.at(path))
	if err != nil || filepath.Base(theirs.Path) != "plimsoll-runtime" {
		d.add("runtime", Bad, hint, "%s is not plimsoll-runtime", path)
		return
	}
	ours, ok := debug.ReadBuildInfo()
	if !ok || revision(ours) != revision(theirs) {
		d.add("runtime", Bad, hint, "%s is of another release than this program", path)
		return
	}
	var config runtimeConfig
	file := path + ".json"
	if !d.host.exists(file) {
		file = runtimeJSON
	}
	err = d.host.readJSON(file, &config)
	if err == nil {
		err = d.host.ownedByRoot(file)
	}
	for _, r := range sorted(config.Runtimes) {
		err = errors.Join(err, d.host.ownedByRoot(config.Runtimes[r]))
	}
	if err == nil && config.Guard != RuntimeSocket {
		err = fmt.Errorf("%s: it asks the guard at %q", file, config.Guard)
	}
	d.is("runtime", fault.Hint(err, "mend %s", file), "%s, before %s", path, strings.Join(sorted(config.Runtimes), ", "))
}

// revision says from which source a program was built.
func revision(b *debug.BuildInfo) string {
	for _, s := range b.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return b.Main.Version
}

// unsealed looks for containers that another runtime runs.
func (d *doctor) unsealed(s *survey) {
	switch {
	case s.daemon == nil:
	case len(s.unsealed) > 0:
		d.add("containers", Bad, "remove them and make them again", "%d were made before and run unsealed: %s", len(s.unsealed), some(s.unsealed))
	default:
		d.add("containers", Good, "", "%d, all sealed", len(s.sealed))
	}
}

// quota looks whether the file system of the engine's data counts by project.
func (d *doctor) quota(s *survey) {
	if s.daemon == nil {
		return
	}
	b, err := d.host.read("/proc/self/mountinfo")
	if err != nil {
		d.is("storage quota", err, "")
		return
	}
	where, options := mountOf(string(b), s.daemon.dataRoot())
	if strings.Contains(options, "prjquota") || strings.Contains(options, "pquota") {
		d.add("storage quota", Good, "", "%s counts by project", where)
		return
	}
	d.add("storage quota", Note, "mount it with prjquota to have profiles' storage limits", "%s does not count by project", where)
}

// mountOf returns the mount point below which path is, and all its options.
func mountOf(mountinfo, path string) (where, options string) {
	for line := range strings.SplitSeq(mountinfo, "\n") {
		f := strings.Fields(line)
		dash := slices.Index(f, "-")
		if dash < 6 || len(f) < dash+4 {
			continue
		}
		point := f[4]
		if (point == "/" || path == point || strings.HasPrefix(path, point+"/")) && len(point) >= len(where) {
			where, options = point, f[5]+","+f[dash+3]
		}
	}
	return where, options
}

func (d *doctor) apparmor() {
	if b, err := d.host.read("/sys/module/apparmor/parameters/enabled"); err == nil && strings.HasPrefix(string(b), "Y") {
		d.add("AppArmor", Good, "", "enabled")
		return
	}
	d.add("AppArmor", Note, "", "the kernel does not have it enabled; containers are sealed without it")
}

// records looks for grants of containers that the engine no longer has.
func (d *doctor) records(s *survey) {
	if s.daemon == nil {
		return
	}
	entries, err := os.ReadDir(d.host.at(containers))
	if err != nil && !absent(err) {
		d.is("records", fault.As(fault.Unavailable, err), "")
		return
	}
	var left []string
	for _, e := range entries {
		if _, id, ok := strings.Cut(e.Name(), "-"); ok && !d.host.exists(filepath.Join(s.daemon.dataRoot(), "containers", id)) {
			left = append(left, id)
		}
	}
	if len(left) > 0 {
		d.add("records", Note, "the guard puts them away when nothing of them runs", "%d of containers that the engine does not have: builds, other engines, or leftovers", len(left))
		return
	}
	d.add("records", Good, "", "none is left over")
}
