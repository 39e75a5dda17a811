package seal

import (
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"plimsoll/internal/fault"
	"plimsoll/internal/profile"
	"plimsoll/internal/seal/protocol"
)

// Request is what is to run, and what it may do.
type Request struct {
	Team    string
	Profile profile.Profile
	Image   Image    // what the image says about its process
	Args    []string // instead of the image's command
	Env     []string // "K=V", over the image's
	Workdir string   // instead of the image's
	User    string   // instead of the image's: a name or number, or two with a colon
	Mounts  []Mount
}

// Image is what an image says about the process of its containers (OCI
// image-spec, config.md, "config"). The words are repeated here because those of
// the specification's own package cost the runtime, which is started several
// times for a container, more to start than all of its own.
type Image struct {
	User       string
	Env        []string // "K=V"
	Entrypoint []string
	Cmd        []string
	WorkingDir string
}

// Mount is a host file or folder that a person asks for.
type Mount struct {
	Source, Target string // absolute, clean
	ReadOnly       bool
}

// ParseMount reads "SRC:DST" or "SRC:DST:ro".
func ParseMount(s string) (Mount, error) {
	parts := strings.Split(s, ":")
	if len(parts) < 2 || len(parts) > 3 || (len(parts) == 3 && parts[2] != "ro" && parts[2] != "rw") {
		return Mount{}, fault.Errorf(fault.Usage, "mount %q: not SRC:DST, SRC:DST:ro or SRC:DST:rw", s)
	}
	m := Mount{Source: parts[0], Target: parts[1], ReadOnly: len(parts) == 3 && parts[2] == "ro"}
	for _, p := range []string{m.Source, m.Target} {
		if !path.IsAbs(p) || path.Clean(p) != p || passable(p) != nil {
			return Mount{}, fault.Errorf(fault.Usage, "mount %q: %q is not a clean absolute path", s, p)
		}
	}
	if m.Target == "/" || reserved(m.Target) {
		return Mount{}, fault.Errorf(fault.Usage, "mount %q: nothing can be mounted on %s", s, m.Target)
	}
	return m, nil
}

// reserved reports whether p lies where the container's kernel interfaces are.
func reserved(p string) bool {
	return slices.ContainsFunc([]string{"/proc", "/sys", "/dev"}, func(dir string) bool { return within(p, dir) })
}

// within reports whether the clean path p is dir or lies below it.
func within(p, dir string) bool {
	return p == dir || dir == "/" || strings.HasPrefix(p, dir+"/")
}

// command returns what the container runs.
func (r *Request) command() ([]string, error) {
	args := slices.Concat(r.Image.Entrypoint, r.Args)
	if len(r.Args) == 0 {
		args = slices.Concat(r.Image.Entrypoint, r.Image.Cmd)
	}
	if len(args) == 0 || args[0] == "" {
		return nil, fault.Hint(fault.Errorf(fault.Usage, "the image names no command"), "write one after the image: plimsoll run … IMAGE CMD")
	}
	for _, a := range args {
		if err := passable(a); err != nil {
			return nil, fault.Errorf(fault.Usage, "argument %.40q: %w", a, err)
		}
	}
	return args, nil
}

const maxString = 128<<10 - 1 // bytes of an argument or variable (execve(2), MAX_ARG_STRLEN)

// passable refuses what would not reach the program as it is.
func passable(s string) error {
	switch {
	case len(s) > maxString:
		return fault.Errorf(fault.Usage, "longer than the %d bytes that a program can be given", maxString)
	case strings.ContainsRune(s, 0):
		return fault.Errorf(fault.Usage, "a NUL byte ends it")
	case !utf8.ValidString(s):
		return fault.Errorf(fault.Usage, "not UTF-8, in which runtimes are told")
	}
	return nil
}

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment returns the variables of the process: later ones replace earlier
// ones of the same name.
func (r *Request) environment(home, hostname string) ([]string, error) {
	var env []string
	at := map[string]int{}
	for _, kv := range slices.Concat([]string{defaultPath, "HOME=" + home, "HOSTNAME=" + hostname}, r.Image.Env, r.Env) {
		name, _, ok := strings.Cut(kv, "=")
		if !ok || name == "" {
			return nil, fault.Errorf(fault.Usage, "environment %.40q: not NAME=VALUE", kv)
		}
		if err := passable(kv); err != nil {
			return nil, fault.Errorf(fault.Usage, "environment %.40q: %w", kv, err)
		}
		if i, seen := at[name]; seen {
			env[i] = kv
			continue
		}
		at[name] = len(env)
		env = append(env, kv)
	}
	return env, nil
}

// workdir returns the folder that the process starts in. Folders of the kernel
// are refused: descriptors that a runtime forgot are reached through them
// (CVE-2024-21626).
func (r *Request) workdir() (string, error) {
	dir := r.Workdir
	if dir == "" {
		dir = r.Image.WorkingDir
	}
	if dir == "" {
		dir = "/"
	}
	if dir = path.Clean(dir); !path.IsAbs(dir) || reserved(dir) || passable(dir) != nil {
		return "", fault.Errorf(fault.Usage, "working folder %.80q: not an absolute path outside of /proc, /sys and /dev", dir)
	}
	return dir, nil
}

// Validate reports what cannot be run, before anything is made.
func (r *Request) Validate() error {
	if !protocol.ValidTeam(r.Team) {
		return fault.Errorf(fault.Usage, "team %q: not a lower-case name", r.Team)
	}
	if _, err := r.command(); err != nil {
		return err
	}
	if _, err := r.environment("/", "x"); err != nil {
		return err
	}
	if _, err := r.workdir(); err != nil {
		return err
	}
	targets := map[string]bool{}
	for _, m := range r.Mounts {
		if targets[m.Target] {
			return fault.Errorf(fault.Usage, "two mounts on %q", m.Target)
		}
		targets[m.Target] = true
	}
	return Enforceable(&r.Profile)
}
