package rewrite_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/runtime-spec/specs-go"

	"plimsoll/internal/seal/protocol"
	"plimsoll/internal/seal/rewrite"
	"plimsoll/internal/seal/seccomp"
)

// harmless reports what a rewritten document gives that was not granted. It
// reads it as runtimes do, with nothing of the package that wrote it, and says
// all that it finds.
func harmless(plan *rewrite.Plan, g *protocol.Grant, s rewrite.Situation) error {
	var spec specs.Spec
	if err := json.Unmarshal(plan.Config, &spec); err != nil {
		return err
	}
	if spec.Linux == nil || spec.Process == nil || spec.Root == nil {
		return errors.New("a part of the spec is gone")
	}
	return errors.Join(
		readAlike(plan.Config, &spec),
		harmlessProcess(spec.Process, g, s),
		harmlessSpaces(spec.Linux, s),
		harmlessLinux(&spec, g, s),
		harmlessMounts(&spec, plan, g, s),
		harmlessLimits(spec.Linux.Resources, g, s),
		harmlessRest(plan.Config, &spec, g),
	)
}

// readAlike reports a member that Go's decoder understood and a reader that
// compares names byte by byte would not.
func readAlike(document []byte, understood any) error {
	var exact, loose any
	text, err := json.Marshal(understood)
	if err != nil {
		return err
	}
	if err := errors.Join(json.Unmarshal(document, &exact), json.Unmarshal(text, &loose)); err != nil {
		return err
	}
	return sameNames("", loose, exact)
}

func sameNames(where string, loose, exact any) error {
	switch l := loose.(type) {
	case map[string]any:
		e, ok := exact.(map[string]any)
		if !ok {
			return fmt.Errorf("%s: %T", where, exact)
		}
		for name, v := range l {
			if _, ok := e[name]; !ok && !empty(v) {
				return fmt.Errorf("%s.%s is there only for who ignores case", where, name)
			}
			if err := sameNames(where+"."+name, v, e[name]); err != nil && !empty(v) {
				return err
			}
		}
	case []any:
		e, ok := exact.([]any)
		if !ok || len(e) != len(l) {
			return fmt.Errorf("%s: %d elements for one reader, %v for another", where, len(l), exact)
		}
		for i := range l {
			if err := sameNames(where, l[i], e[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// empty reports whether v is what Go writes for a member that is not there.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case float64:
		return v == 0
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		for _, m := range v {
			if !empty(m) {
				return false
			}
		}
		return true
	}
	return false
}

func harmlessProcess(p *specs.Process, g *protocol.Grant, s rewrite.Situation) error {
	var wrong []error
	if p.Capabilities == nil {
		wrong = append(wrong, errors.New("capabilities are the runtime's to choose"))
	} else {
		c := p.Capabilities
		for _, name := range slices.Concat(c.Bounding, c.Effective, c.Inheritable, c.Permitted, c.Ambient) {
			if plain, ok := strings.CutPrefix(name, "CAP_"); !ok || !slices.Contains(g.Profile.Capabilities, plain) {
				wrong = append(wrong, fmt.Errorf("capability %q", name))
			}
		}
	}
	if !p.NoNewPrivileges && !g.Profile.SetuidFiles {
		wrong = append(wrong, errors.New("new privileges"))
	}
	if p.ApparmorProfile != s.AppArmor {
		wrong = append(wrong, fmt.Errorf("AppArmor profile %q", p.ApparmorProfile))
	}
	if p.OOMScoreAdj != nil && *p.OOMScoreAdj < 0 {
		wrong = append(wrong, errors.New("spared when memory runs out"))
	}
	if len(p.Rlimits) > 0 || p.Scheduler != nil || p.IOPriority != nil || p.ExecCPUAffinity != nil {
		wrong = append(wrong, errors.New("limits or priorities in the process"))
	}
	if strings.Contains(p.SelinuxLabel, "spc_t") || strings.Contains(p.SelinuxLabel, "unconfined_t") {
		wrong = append(wrong, errors.New(p.SelinuxLabel))
	}
	if p.User.UID > 65535 || p.User.GID > 65535 {
		wrong = append(wrong, fmt.Errorf("user %+v", p.User))
	}
	dir := path.Clean(p.Cwd)
	if !path.IsAbs(dir) || dir == "/proc" || strings.HasPrefix(dir, "/proc/") || strings.HasPrefix(dir, "/sys/") || strings.HasPrefix(dir, "/dev/") {
		wrong = append(wrong, fmt.Errorf("working folder %q", p.Cwd))
	}
	return errors.Join(wrong...)
}

func harmlessSpaces(l *specs.Linux, s rewrite.Situation) error {
	var wrong []error
	count := map[specs.LinuxNamespaceType]int{}
	for _, n := range l.Namespaces {
		count[n.Type]++
		if n.Type == specs.UserNamespace {
			if n.Path != s.Paths.Users {
				wrong = append(wrong, fmt.Errorf("user namespace %q", n.Path))
			}
			continue
		}
		if n.Path == "" {
			continue
		}
		if host, err := s.HostSpace(n.Type, n.Path); err != nil || host || n.Type == specs.MountNamespace {
			wrong = append(wrong, fmt.Errorf("%s namespace %q", n.Type, n.Path))
		}
	}
	for _, kind := range []specs.LinuxNamespaceType{
		specs.UserNamespace, specs.PIDNamespace, specs.NetworkNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.MountNamespace, specs.CgroupNamespace,
	} {
		if count[kind] != 1 {
			wrong = append(wrong, fmt.Errorf("%d %s namespaces", count[kind], kind))
		}
	}
	return errors.Join(wrong...)
}

func harmlessLinux(spec *specs.Spec, g *protocol.Grant, s rewrite.Situation) error {
	l := spec.Linux
	var wrong []error
	ours, err := seccomp.Profile(seccomp.Options{SetuidFiles: g.Profile.SetuidFiles, Capabilities: g.Profile.Capabilities, Arch: s.Arch})
	if err != nil {
		return err
	}
	if d := cmp.Diff(ours, l.Seccomp); d != "" {
		wrong = append(wrong, errors.New("another seccomp filter: "+d))
	}
	for _, p := range []string{"/proc/kcore", "/proc/keys", "/sys/firmware"} {
		if !slices.Contains(l.MaskedPaths, p) {
			wrong = append(wrong, fmt.Errorf("%s is not masked", p))
		}
	}
	for _, p := range []string{"/proc/sys", "/proc/sysrq-trigger"} {
		if !slices.Contains(l.ReadonlyPaths, p) {
			wrong = append(wrong, fmt.Errorf("%s can be written", p))
		}
	}
	if l.CgroupsPath != "/plimsoll/"+g.Team+"/"+s.ID && l.CgroupsPath != rewrite.Slice(g.Team)+":plimsoll:"+s.ID {
		wrong = append(wrong, fmt.Errorf("control group %q", l.CgroupsPath))
	}
	if strings.HasSuffix(l.RootfsPropagation, "shared") || l.IntelRdt != nil || l.MemoryPolicy != nil || len(l.NetDevices) > 0 || len(l.Devices) > 0 {
		wrong = append(wrong, errors.New("a part of linux that is the host's"))
	}
	if p := l.Personality; p != nil && len(p.Flags) > 0 {
		wrong = append(wrong, errors.New("personality"))
	}
	for name := range l.Sysctl {
		if !strings.HasPrefix(name, "net.") && !strings.HasPrefix(name, "kernel.msg") && !strings.HasPrefix(name, "kernel.shm") && !strings.HasPrefix(name, "fs.mqueue.") && name != "kernel.sem" {
			wrong = append(wrong, fmt.Errorf("sysctl %q", name))
		}
	}
	mapped := []specs.LinuxIDMapping{{ContainerID: 0, HostID: g.IDs.Base, Size: g.IDs.Size}}
	if !s.Mappings {
		mapped = nil
	}
	if !cmp.Equal(l.UIDMappings, mapped) || !cmp.Equal(l.GIDMappings, mapped) {
		wrong = append(wrong, fmt.Errorf("mappings %v and %v", l.UIDMappings, l.GIDMappings))
	}
	return errors.Join(wrong...)
}

func harmlessMounts(spec *specs.Spec, plan *rewrite.Plan, g *protocol.Grant, s rewrite.Situation) error {
	var wrong []error
	place := map[string]string{"proc": "/proc", "sysfs": "/sys", "cgroup": "/sys/fs/cgroup", "mqueue": "/dev/mqueue", "devpts": "/dev/pts"}
	for _, m := range spec.Mounts {
		bad := func(format string, args ...any) {
			wrong = append(wrong, fmt.Errorf("mount %+v: %w", m, fmt.Errorf(format, args...)))
		}
		has := func(o string) bool { return slices.Contains(m.Options, o) }
		if path.Clean(m.Destination) != m.Destination || m.Destination == "/" || !path.IsAbs(m.Destination) {
			bad("destination")
		}
		if len(m.UIDMappings)+len(m.GIDMappings) > 0 || has("shared") || has("rshared") || has("suid") || has("dev") || has("idmap") {
			bad("mappings, propagation or set IDs")
		}
		at, kernel := place[m.Type]
		switch {
		case m.Type == "bind":
			if !has("bind") && !has("rbind") {
				bad("no bind")
			}
			attached := slices.ContainsFunc(plan.Mounts, func(p rewrite.Mount) bool {
				return p.Target == m.Source && p.Destination == m.Destination && p.ReadOnly == has("ro") && has("nodev")
			})
			node := slices.ContainsFunc(plan.Devices, func(d rewrite.Device) bool {
				return d.Target == m.Source && d.Host == m.Destination && slices.Contains(g.Profile.Devices, d.Host) && has("nosuid")
			})
			if !attached && !node {
				bad("of the host")
			}
			if strings.HasPrefix(m.Destination+"/", "/proc/") || strings.HasPrefix(m.Destination+"/", "/sys/") {
				bad("over the kernel's files")
			}
		case m.Type == "tmpfs":
			if !has("nosuid") || !slices.ContainsFunc(m.Options, func(o string) bool { return strings.HasPrefix(o, "size=") }) {
				bad("unlimited")
			}
			if strings.HasPrefix(m.Destination+"/", "/proc/") || strings.HasPrefix(m.Destination+"/", "/sys/") {
				bad("over the kernel's files")
			}
		case !kernel || m.Destination != at || has("bind") || has("rbind"):
			bad("type")
		case m.Type != "proc" && m.Type != "mqueue" && m.Type != "devpts" && !has("ro"):
			bad("can be written")
		}
	}
	if spec.Root.Path != s.Paths.Root || g.Profile.ReadOnly && !spec.Root.Readonly {
		wrong = append(wrong, fmt.Errorf("root %+v", spec.Root))
	}
	return errors.Join(wrong...)
}

func harmlessLimits(r *specs.LinuxResources, g *protocol.Grant, s rewrite.Situation) error {
	if r == nil || r.Memory == nil || r.Memory.Limit == nil || r.CPU == nil || r.CPU.Quota == nil || r.CPU.Period == nil || r.Pids == nil || r.Pids.Limit == nil {
		return errors.New("a limit is missing")
	}
	wrong := []error{harmlessUpdate(r, g)}
	if s.Swap && r.Memory.Swap == nil {
		wrong = append(wrong, errors.New("swap is not limited"))
	}
	if g.Profile.IOWeight != 0 && (r.BlockIO == nil || r.BlockIO.Weight == nil) {
		wrong = append(wrong, errors.New("no weight"))
	}
	if len(r.Devices) == 0 || r.Devices[0].Allow || r.Devices[0].Type != "" || r.Devices[0].Access != "rwm" {
		wrong = append(wrong, fmt.Errorf("devices %+v", r.Devices))
		return errors.Join(wrong...)
	}
	for _, d := range r.Devices[1:] {
		known := false
		for _, name := range g.Profile.Devices {
			n, err := s.Node(name)
			known = known || err == nil && d.Major != nil && d.Minor != nil && n == rewrite.Node{Type: d.Type, Major: *d.Major, Minor: *d.Minor}
		}
		if d.Allow && !known {
			wrong = append(wrong, fmt.Errorf("device %+v", d))
		}
	}
	return errors.Join(wrong...)
}

// harmlessUpdate reports limits that are above the profile's. One that is not
// there stays as it was.
func harmlessUpdate(r *specs.LinuxResources, g *protocol.Grant) error {
	var wrong []error
	above := func(what string, n *int64, most int64) {
		if n != nil && (*n <= 0 || *n > most) {
			wrong = append(wrong, fmt.Errorf("%s: %d of %d", what, *n, most))
		}
	}
	p := g.Profile
	if m := r.Memory; m != nil {
		above("memory", m.Limit, p.Memory)
		above("swap", m.Swap, p.Memory)
		above("reservation", m.Reservation, p.Memory)
		if m.DisableOOMKiller != nil || m.UseHierarchy != nil {
			wrong = append(wrong, errors.New("memory"))
		}
	}
	if c := r.CPU; c != nil {
		if (c.Quota == nil) != (c.Period == nil) {
			wrong = append(wrong, errors.New("half a limit of processor time"))
		}
		if c.Quota != nil && c.Period != nil && (*c.Quota <= 0 || *c.Period == 0 || float64(*c.Quota)/float64(*c.Period) > p.CPUs*1.0001) {
			wrong = append(wrong, fmt.Errorf("processors: %d/%d", *c.Quota, *c.Period))
		}
		if c.Burst != nil || c.RealtimePeriod != nil || c.RealtimeRuntime != nil || c.Shares != nil && *c.Shares > 1024 {
			wrong = append(wrong, errors.New("precedence"))
		}
	}
	if r.Pids != nil {
		above("processes", r.Pids.Limit, p.PIDs)
	}
	if b := r.BlockIO; b != nil {
		if b.LeafWeight != nil || len(b.WeightDevice) > 0 || b.Weight != nil && int(*b.Weight) > max(p.IOWeight, 100) {
			wrong = append(wrong, errors.New("weight"))
		}
	}
	if r.Network != nil || len(r.Rdma) > 0 || len(r.Unified) > 0 || len(r.HugepageLimits) > 0 {
		wrong = append(wrong, errors.New("controllers that the profile does not have"))
	}
	return errors.Join(wrong...)
}

func harmlessRest(config []byte, spec *specs.Spec, g *protocol.Grant) error {
	var wrong []error
	var hooks struct{ Hooks map[string][]specs.Hook }
	if err := json.Unmarshal(config, &hooks); err != nil {
		wrong = append(wrong, err)
	}
	for _, list := range hooks.Hooks {
		for _, hook := range list {
			if len(hook.Args) == 0 || hook.Args[0] != "libnetwork-setkey" || !strings.HasPrefix(hook.Path, "/proc/") {
				wrong = append(wrong, fmt.Errorf("hook %+v", hook))
			}
		}
	}
	for key, v := range spec.Annotations {
		switch {
		case key == "dev.plimsoll.team" && v == g.Team, key == "dev.plimsoll.decision" && v == g.Decision, key == "dev.plimsoll.base" && v == fmt.Sprint(g.IDs.Base):
		case strings.HasPrefix(key, "dev.plimsoll"), strings.HasPrefix(key, "run.oci."), strings.HasPrefix(key, "org.systemd.property."):
			wrong = append(wrong, fmt.Errorf("annotation %q=%q", key, v))
		}
	}
	if spec.VM != nil || spec.Windows != nil || spec.Solaris != nil {
		wrong = append(wrong, errors.New("another system's container"))
	}
	return errors.Join(wrong...)
}
