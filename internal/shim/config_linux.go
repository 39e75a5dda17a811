package shim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll/internal/fault"
)

// config says where things are on this host.
type config struct {
	Guard    string            `json:"guard"`    // socket of the guard
	State    string            `json:"state"`    // folder of grants
	Deadline string            `json:"deadline"` // for the guard's answer, "10s"
	Runtimes map[string]string `json:"runtimes"` // name → path
}

const (
	hostConfig = "/etc/plimsoll/runtime.json"
	maxConfig  = 1 << 16 // bytes
)

// runtimeFolders are where a runtime is looked for whose path is not configured;
// the environment is the caller's.
var runtimeFolders = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// readConfig reads the file beside this program, else the host's; without either
// everything has its usual place.
func readConfig() (*config, error) {
	c := &config{Guard: "/run/plimsoll/runtime/guard.sock", State: "/run/plimsoll/containers", Deadline: "10s"}
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	for _, path := range []string{program + ".json", hostConfig} {
		err := c.read(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fault.As(fault.Invalid, fmt.Errorf("configuration %q: %w", path, err))
		}
		break
	}
	return c, c.validate()
}

// read refuses a file that others than root can change.
func (c *config) read(path string) (err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Uid != 0 || st.Mode&0o022 != 0 {
		return fault.Errorf(fault.Denied, "others than root can change it")
	}
	b, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return err
	}
	if len(b) > maxConfig {
		return fault.Errorf(fault.Invalid, "longer than %d bytes", maxConfig)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(c)
}

func (c *config) validate() error {
	for name, path := range map[string]string{"guard": c.Guard, "state": c.State} {
		if !filepath.IsAbs(path) || filepath.Clean(path) != path {
			return fault.Errorf(fault.Invalid, "configuration: %s %q is no clean absolute path", name, path)
		}
	}
	for name, path := range c.Runtimes {
		if !filepath.IsAbs(path) {
			return fault.Errorf(fault.Invalid, "configuration: runtime %q has no absolute path", name)
		}
	}
	if d, err := time.ParseDuration(c.Deadline); err != nil || d <= 0 || d > time.Hour {
		return fault.Errorf(fault.Invalid, "configuration: deadline %q is no time up to an hour", c.Deadline)
	}
	return nil
}

func (c *config) deadline() time.Duration {
	d, _ := time.ParseDuration(c.Deadline) // validated
	return d
}

// runtime returns the path of the runtime that a profile names.
func (c *config) runtime(name string) (string, error) {
	if path := c.Runtimes[name]; path != "" {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	if name != "runc" && name != "crun" {
		return "", fault.Errorf(fault.Denied, "the profile's runtime %q is neither runc nor crun", name)
	}
	for _, dir := range runtimeFolders {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 && !isSelf(info) {
			return path, nil
		}
	}
	return "", fault.Hint(fault.Errorf(fault.Unavailable, "the OCI runtime %q is not installed", name), "apt-get install %s", name)
}

// isSelf reports whether a runtime is this program, installed in its place.
func isSelf(info fs.FileInfo) bool {
	self, err := os.Stat("/proc/self/exe")
	return err == nil && os.SameFile(self, info)
}
