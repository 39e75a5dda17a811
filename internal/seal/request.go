package seal

import (
	"path"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll/internal/fault"
	"plimsoll/internal/profile"
)

// Request is what is to run, and what it may do.
type Request struct {
	Team    string
	Profile profile.Profile
	Image   v1.ImageConfig // what the image says about its process
	Args    []string       // instead of the image's command
	Env     []string       // "K=V", over the image's
	Workdir string         // instead of the image's
	User    string         // instead of the image's: a name or number, or two with a colon
	Mounts  []Mount
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
		if !path.IsAbs(p) || path.Clean(p) != p || strings.ContainsRune(p, 0) {
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
	return args, nil
}

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment returns the variables of the process: later ones replace earlier
// ones of the same name.
func (r *Request) environment(home, hostname string) ([]string, error) {
	var env []string
	at := map[string]int{}
	for _, kv := range slices.Concat([]string{defaultPath, "HOME=" + home, "HOSTNAME=" + hostname}, r.Image.Env, r.Env) {
		name, _, ok := strings.Cut(kv, "=")
		if !ok || name == "" || strings.ContainsRune(kv, 0) {
			return nil, fault.Errorf(fault.Usage, "environment %q: not NAME=VALUE", kv)
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
	if dir = path.Clean(dir); !path.IsAbs(dir) || reserved(dir) || strings.ContainsRune(dir, 0) {
		return "", fault.Errorf(fault.Usage, "working folder %q: not an absolute path outside of /proc, /sys and /dev", dir)
	}
	return dir, nil
}

// Validate reports what cannot be run, before anything is made.
func (r *Request) Validate() error {
	if !teamName.MatchString(r.Team) {
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
