package shim

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
	"plimsoll/internal/seal"
	"plimsoll/internal/seal/apparmor"
)

// remembered is what a runtime once said about itself, and by what it is known
// to be the same.
type remembered struct {
	Size    int64        `json:"size"`
	Changed int64        `json:"changed"` // ns, of content (mtime)
	Status  int64        `json:"status"`  // ns, of the file's entry (ctime), which nobody can set
	Inode   uint64       `json:"inode"`
	Runtime seal.Backend `json:"runtime"`
}

// backend returns the runtime that a profile names. What it can do is asked once
// for each file: that takes longer than all the rest.
func (s *shim) backend(name string) (seal.Backend, error) {
	path, err := s.config.runtime(name)
	if err != nil {
		return seal.Backend{}, err
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return seal.Backend{}, fault.As(fault.Unavailable, fmt.Errorf("runtime %q: %w", path, err))
	}
	if st.Uid != 0 || st.Mode&0o022 != 0 {
		return seal.Backend{}, fault.Errorf(fault.Denied, "runtime %q can be changed by others than root", path)
	}
	now := remembered{Size: st.Size, Changed: st.Mtim.Nano(), Status: st.Ctim.Nano(), Inode: st.Ino}
	file := filepath.Join(s.grants.Folder, "runtime-"+name+".json")
	if b, err := durable.ReadFile(file, maxConfig); err == nil {
		var then remembered
		if json.Unmarshal(b, &then) == nil && then.Runtime.Path == path {
			now.Runtime = then.Runtime
			if now == then {
				return then.Runtime, nil
			}
		}
	}
	if now.Runtime, err = seal.AskBackend(s.ctx, path); err != nil {
		return seal.Backend{}, err
	}
	b, err := json.Marshal(now)
	if err == nil {
		err = durable.WriteFile(file, b, 0o600)
	}
	return now.Runtime, err
}

// appArmorProfiles are what engines and we load for containers, the best first.
var appArmorProfiles = []string{apparmor.Name, "docker-default", "cri-containerd.apparmor.d", "containers-default"}

// appArmor returns the profile that this host has loaded for containers, "" if it
// has no AppArmor or none.
func appArmor() string {
	on, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	if err != nil || !strings.HasPrefix(string(on), "Y") {
		return ""
	}
	loaded, err := durable.ReadFile("/sys/kernel/security/apparmor/profiles", maxSpec)
	if err != nil {
		return ""
	}
	for _, name := range appArmorProfiles {
		for line := range strings.SplitSeq(string(loaded), "\n") {
			profile, mode, _ := strings.Cut(line, " ")
			if profile == name && mode == "(enforce)" {
				return name
			}
		}
	}
	return ""
}
