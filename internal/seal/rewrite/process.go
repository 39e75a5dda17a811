package rewrite

import (
	"path"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"plimsoll/internal/fault"
	"plimsoll/internal/idmap"
	"plimsoll/internal/seal/protocol"
)

var processMembers = []string{
	"terminal", "consoleSize", "user", "args", "commandLine", "env", "cwd", "capabilities", "rlimits", "noNewPrivileges",
	"apparmorProfile", "oomScoreAdj", "scheduler", "selinuxLabel", "ioPriority", "execCPUAffinity",
}

// Process returns what becomes of the process that joins a container (the file
// of runc exec --process), and the limits that the runtime must set on itself
// before it starts it. What a command line says about a process (--cap, --user,
// …) has no such way through: such calls are to be refused.
func Process(process []byte, g *protocol.Grant, s Situation) (rewritten []byte, limits []specs.POSIXRlimit, err error) {
	if err := usable(g, s); err != nil {
		return nil, nil, err
	}
	if err := check(process); err != nil {
		return nil, nil, fault.Errorf(fault.Invalid, "process: %w", err)
	}
	w := &work{grant: g, host: s, plan: &Plan{}}
	rewritten, err = w.rewriteProcess(process)
	return rewritten, w.plan.Rlimits, err
}

func (w *work) process(spec *object) error {
	raw, _ := spec.get("process")
	rewritten, err := w.rewriteProcess(raw)
	if err != nil {
		return err
	}
	spec.put("process", rewritten)
	return nil
}

func (w *work) rewriteProcess(raw []byte) ([]byte, error) {
	p, err := parse(raw, "process", processMembers)
	if err != nil {
		return nil, err
	}
	for _, step := range []func(*object) error{checkUser, checkFolder, w.capabilities, w.rlimits, w.privileges, w.killable, processLabel} {
		if err := step(p); err != nil {
			return nil, err
		}
	}
	// What would give its processes precedence over those of others, and the
	// command line of another system.
	p.drop("scheduler", "ioPriority", "execCPUAffinity", "commandLine")
	return p.encode(), nil
}

// checkUser refuses IDs that the container does not have, which runtimes would
// refuse in words that nobody understands.
func checkUser(p *object) error {
	user, err := p.child("user", []string{"uid", "gid", "umask", "additionalGids", "username"})
	if err != nil {
		return err
	}
	if user == nil {
		return nil // root
	}
	for _, key := range []string{"uid", "gid"} {
		if n, _, err := user.number(key); err != nil {
			return err
		} else if n < 0 || n >= idmap.SlotSize {
			return noID(user.path(key), n)
		}
	}
	groups, err := user.elements("additionalGids")
	if err != nil {
		return err
	}
	for _, raw := range groups {
		g := object{where: user.where, members: []member{{"additionalGids", raw}}}
		if n, _, err := g.number("additionalGids"); err != nil {
			return err
		} else if n < 0 || n >= idmap.SlotSize {
			return noID(g.path("additionalGids"), n)
		}
	}
	return nil
}

func noID(where string, n int64) error {
	return fault.Errorf(fault.Denied, "%s: %d: a sealed container has the IDs 0 to %d", where, n, idmap.SlotSize-1)
}

// checkFolder refuses to start a process in the kernel's folders: descriptors
// that a runtime forgot are reached through them (CVE-2024-21626).
func checkFolder(p *object) error {
	dir, err := p.text("cwd")
	if err != nil {
		return err
	}
	if !path.IsAbs(dir) {
		return fault.Errorf(fault.Invalid, "process.cwd: %.80q is not an absolute path", dir)
	}
	for _, kernel := range []string{"/proc", "/sys", "/dev"} {
		if within(path.Clean(dir), kernel) {
			return fault.Errorf(fault.Denied, "process.cwd: %.80q lies in %s", dir, kernel)
		}
	}
	return nil
}

// within reports whether the clean path p is dir or lies below it.
func within(p, dir string) bool {
	return p == dir || dir == "/" || len(p) > len(dir) && p[:len(dir)] == dir && p[len(dir)] == '/'
}

var capabilitySets = []string{"bounding", "effective", "inheritable", "permitted", "ambient"}

// capabilities leaves of each set what the profile has as well. All five are
// written: a runtime has its own idea of what an absent one means.
func (w *work) capabilities(p *object) error {
	asked, err := p.child("capabilities", capabilitySets)
	if err != nil {
		return err
	}
	if asked == nil {
		asked = &object{where: "process.capabilities"}
	}
	granted := &object{where: asked.where}
	for _, set := range capabilitySets {
		names, err := asked.texts(set)
		if err != nil {
			return err
		}
		kept := []string{}
		for _, c := range names {
			if len(c) > len("CAP_") && c[:4] == "CAP_" && slices.Contains(w.grant.Profile.Capabilities, c[4:]) && !slices.Contains(kept, c) {
				kept = append(kept, c)
			}
		}
		granted.set(set, kept)
	}
	p.put("capabilities", granted.encode())
	return nil
}

// rlimits takes the limits out of the process: in a namespace that its own base
// owns a runtime could set them only with CAP_SYS_RESOURCE on the host. Those
// that the runtime itself has, its children get.
func (w *work) rlimits(p *object) error {
	all, err := p.elements("rlimits")
	if err != nil {
		return err
	}
	p.drop("rlimits")
	var seen names
	for _, raw := range all {
		o, err := parse(raw, "process.rlimits", []string{"type", "hard", "soft"})
		if err != nil {
			return err
		}
		limit, err := rlimit(o)
		if err != nil {
			return err
		}
		if !seen.add(limit.Type) {
			return fault.Errorf(fault.Invalid, "process.rlimits: %s twice", limit.Type)
		}
		if limit.Type != "RLIMIT_NICE" && limit.Type != "RLIMIT_RTPRIO" { // those are leave to go before others
			w.plan.Rlimits = append(w.plan.Rlimits, limit)
		}
	}
	return nil
}

var rlimitTypes = []string{
	"RLIMIT_AS", "RLIMIT_CORE", "RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_FSIZE", "RLIMIT_LOCKS", "RLIMIT_MEMLOCK", "RLIMIT_MSGQUEUE",
	"RLIMIT_NICE", "RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_RSS", "RLIMIT_RTPRIO", "RLIMIT_RTTIME", "RLIMIT_SIGPENDING", "RLIMIT_STACK",
}

func rlimit(o *object) (l specs.POSIXRlimit, err error) {
	if l.Type, err = o.text("type"); err != nil {
		return l, err
	}
	if !slices.Contains(rlimitTypes, l.Type) {
		return l, fault.Errorf(fault.Invalid, "process.rlimits: %.80q is no limit of a process", l.Type)
	}
	for key, to := range map[string]*uint64{"hard": &l.Hard, "soft": &l.Soft} {
		if *to, err = o.unsigned(key); err != nil {
			return l, err
		}
	}
	if l.Soft > l.Hard {
		return l, fault.Errorf(fault.Invalid, "process.rlimits: %s: soft %d is above hard %d", l.Type, l.Soft, l.Hard)
	}
	return l, nil
}

// privileges keeps programs from gaining any where the profile says so, and puts
// the process under the host's AppArmor profile for containers, whatever was
// asked: another profile of the host may allow more.
func (w *work) privileges(p *object) error {
	stuck, err := p.flag("noNewPrivileges")
	if err != nil {
		return err
	}
	p.set("noNewPrivileges", stuck || !w.grant.Profile.SetuidFiles)
	if w.host.AppArmor == "" {
		p.drop("apparmorProfile")
		return nil
	}
	p.set("apparmorProfile", w.host.AppArmor)
	return nil
}

// killable keeps the process from being spared when the host runs out of memory.
func (w *work) killable(p *object) error {
	n, ok, err := p.number("oomScoreAdj")
	if err != nil || !ok {
		return err
	}
	p.set("oomScoreAdj", min(max(n, 0), 1000))
	return nil
}
