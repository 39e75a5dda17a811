package debian

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Machine is what is to be known about the machine that builds.
type Machine struct {
	ID           string // "debian", "ubuntu", …
	Codename     string // "bookworm", "noble", …
	Architecture string // Debian's word: "amd64", "arm64", …
}

// ThisMachine reads /etc/os-release and asks dpkg. It fails where there is no apt.
func ThisMachine(ctx context.Context) (Machine, error) {
	for _, tool := range []string{"apt-get", "dpkg-deb", "dpkg", "tar"} {
		if _, err := exec.LookPath(tool); err != nil {
			return Machine{}, fmt.Errorf("this needs Debian or Ubuntu: %w", err)
		}
	}
	arch, err := exec.CommandContext(ctx, "dpkg", "--print-architecture").Output()
	if err != nil {
		return Machine{}, fmt.Errorf("ask dpkg for the architecture: %w", err)
	}
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return Machine{}, fmt.Errorf("read which system this is: %w", err)
	}
	m := Machine{Architecture: strings.TrimSpace(string(arch))}
	for line := range strings.Lines(string(release)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch value = strings.Trim(value, `"`); name {
		case "ID":
			m.ID = value
		case "VERSION_CODENAME":
			m.Codename = value
		}
	}
	return m, nil
}

// HostRoot opens a private root with the machine's own sources, for packages
// that shall run on this machine.
func HostRoot(ctx context.Context, m Machine, cache string, say func(string, ...any)) (*Root, error) {
	all, err := Sources("/etc/apt")
	if err != nil {
		return nil, err
	}
	own := carrying(all, m.Codename)
	if len(own) == 0 { // "stable" or a mirror's own words
		own = all
	}
	if len(own) == 0 {
		return nil, fmt.Errorf("apt has no sources: put one for %s into /etc/apt/sources.list.d", m.Codename)
	}
	return NewRoot(ctx, cache, "host", own, say)
}
