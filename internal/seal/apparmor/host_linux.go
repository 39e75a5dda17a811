package apparmor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"

	"plimsoll/internal/fault"
)

const (
	enabled = "/sys/module/apparmor/parameters/enabled"
	loaded  = "/sys/kernel/security/apparmor/profiles"
)

// parsers are the places of apparmor_parser; whoever calls may have no PATH, or
// one that others chose.
var parsers = []string{"/usr/sbin/apparmor_parser", "/sbin/apparmor_parser"}

// Available reports whether the kernel enforces AppArmor profiles.
func Available() bool {
	b, err := os.ReadFile(enabled)
	return err == nil && strings.TrimSpace(string(b)) == "Y"
}

// Loaded reports whether the kernel has the profile and enforces it. A profile
// that only complains is not loaded. Where the list cannot be read for another
// reason than that there is none, the error is Unavailable.
func Loaded() (bool, error) {
	f, err := os.Open(loaded)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fault.As(fault.Unavailable, fmt.Errorf("read AppArmor's profiles: %w", err))
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if lines.Text() == Name+" (enforce)" {
			return true, nil
		}
	}
	if err := lines.Err(); err != nil {
		return false, fault.As(fault.Unavailable, fmt.Errorf("read AppArmor's profiles: %w", err))
	}
	return false, nil
}

// Load gives the profile to the kernel, in place of an older one of that name;
// containers that run get the new one. It needs root. The error is Unavailable
// where the kernel has no AppArmor or the host no apparmor_parser.
func Load(ctx context.Context) error {
	if !Available() {
		return fault.Errorf(fault.Unavailable, "the kernel does not enforce AppArmor")
	}
	parser, err := findParser()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, parser, "--replace", "--skip-cache")
	cmd.Env = []string{"LC_ALL=C"}
	cmd.Stdin = strings.NewReader(Text)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fault.As(fault.Unavailable, fmt.Errorf("load the AppArmor profile %s: %w: %q", Name, err, strings.TrimSpace(string(out))))
	}
	ok, err := Loaded()
	if err == nil && !ok {
		err = fault.Errorf(fault.Unavailable, "apparmor_parser loaded the profile %s, and the kernel does not enforce it", Name)
	}
	return err
}

func findParser() (string, error) {
	for _, p := range parsers {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	return "", fault.Hint(fault.Errorf(fault.Unavailable, "the kernel enforces AppArmor, and apparmor_parser is not installed"), "apt-get install apparmor")
}
