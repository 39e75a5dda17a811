//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
)

// name is what the runtime, the plugin and the units are called.
const name = "plimsoll"

// Paths on a host.
const (
	DaemonJSON    = "/etc/docker/daemon.json"
	EngineSocket  = "/run/plimsoll/engine/docker.sock" // the engine's own, for root
	PublicSocket  = "/run/docker.sock"                 // the guard's, for everybody
	PluginSocket  = "/run/plimsoll/plugin/authz.sock"
	RuntimeSocket = "/run/plimsoll/runtime/guard.sock"

	specFile    = "/etc/docker/plugins/plimsoll.spec"
	runtimeJSON = "/etc/plimsoll/runtime.json"
	tmpfiles    = "/etc/tmpfiles.d/plimsoll.conf"
	units       = "/etc/systemd/system"
	guardUnit   = "plimsoll-guard.service"
	binaries    = "/usr/local/bin"
	containers  = "/run/plimsoll/containers"
)

// maxFile bounds the files that are read, in bytes; binaries are larger.
const (
	maxFile   = 1 << 20
	maxBinary = 1 << 30
)

// searchPath is where programs are looked for, never $PATH.
var searchPath = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// Host is a host to change or to look at. The zero value is this one.
type Host struct {
	// Root is put before every path, "/" if empty.
	Root string
	// Kernel is the kernel's release, the running one's if empty.
	Kernel string
	// Command runs a program; nil means to really run it.
	Command func(ctx context.Context, program string, args ...string) error
}

// at returns where a path of the host is.
func (h Host) at(path string) string {
	if h.Root == "" {
		return path
	}
	return filepath.Join(h.Root, path)
}

// read returns the content of the host's file path.
func (h Host) read(path string) ([]byte, error) { return durable.ReadFile(h.at(path), maxFile) }

func (h Host) exists(path string) bool {
	_, err := os.Lstat(h.at(path))
	return err == nil
}

// find returns the path of a program, "" if the host has none.
func (h Host) find(program string) string {
	for _, dir := range searchPath {
		path := filepath.Join(dir, program)
		if info, err := os.Stat(h.at(path)); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}

func (h Host) command(ctx context.Context, program string, args ...string) error {
	if h.Command != nil {
		return h.Command(ctx, program, args...)
	}
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		return fault.Errorf(fault.Unavailable, "%s %s: %w: %s", program, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// kernel returns the kernel's release.
func (h Host) kernel() string {
	if h.Kernel != "" {
		return h.Kernel
	}
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

// minKernel is the first kernel that maps the IDs of an overlay's layers.
const minKernel = "5.19"

// newEnough reports whether a kernel's release is at least [minKernel].
func newEnough(release string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return false
	}
	return major > 5 || (major == 5 && minor >= 19)
}

// ownedByRoot is an error if somebody but root could change what is at path, or
// put something else there: every folder on the way, and the file, must be root's
// and not writable by others. Links are followed, and what they lead to is looked
// at the same way.
func (h Host) ownedByRoot(path string) error {
	root, err := filepath.EvalSymlinks(h.at("/"))
	if err != nil {
		return fault.Errorf(fault.Unavailable, "look at %q: %w", path, err)
	}
	for _, start := range []string{h.at(path), ""} {
		if start == "" {
			if start, err = filepath.EvalSymlinks(h.at(path)); err != nil {
				return fault.Errorf(fault.Unavailable, "look at %q: %w", path, err)
			}
		}
		for p := start; ; p = filepath.Dir(p) {
			info, err := os.Stat(p)
			if err != nil {
				return fault.Errorf(fault.Unavailable, "look at %q: %w", path, err)
			}
			st, ok := info.Sys().(*syscall.Stat_t)
			if !ok || st.Uid != 0 || info.Mode().Perm()&0o022 != 0 {
				return fault.Errorf(fault.Denied, "%q can be changed by others than root: %q is %v and of uid %d", path, p, info.Mode(), uid(info))
			}
			if p == root || p == "/" || p == filepath.Clean(h.at("/")) {
				break
			}
		}
	}
	return nil
}

func uid(info fs.FileInfo) uint32 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Uid
	}
	return ^uint32(0)
}

// absent reports whether an error says that there is no such file.
func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) }
