package scan

import (
	"context"
	"io"
	"path"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
)

// osRelease reads os-release(5), wherever it lies: etc/os-release is often a
// link to it.
type osRelease struct{}

var _ Extractor = osRelease{}

// maxOSRelease is more than any distribution writes, bytes.
const maxOSRelease = 64 << 10

// Name implements [Extractor].
func (osRelease) Name() string { return "os-release" }

// Version implements [Extractor].
func (osRelease) Version() int { return 1 }

// Wants implements [Extractor].
func (osRelease) Wants(e image.Entry, _ []byte) bool { return path.Base(e.Path) == "os-release" }

// Extract implements [Extractor].
func (osRelease) Extract(_ context.Context, f File) (inventory.Found, error) {
	if f.Size > maxOSRelease {
		return inventory.Found{}, fault.Errorf(fault.Invalid, "larger than %d bytes", maxOSRelease)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxOSRelease))
	if err != nil {
		return inventory.Found{}, err
	}
	d := parseOSRelease(string(b))
	if d == (inventory.Distro{}) {
		return inventory.Found{}, nil
	}
	return inventory.Found{Distro: &d}, nil
}

func parseOSRelease(s string) inventory.Distro {
	var d inventory.Distro
	for line := range strings.Lines(s) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		value = unquote(value)
		switch name {
		case "ID":
			d.ID = strings.ToLower(value)
		case "VERSION_ID":
			d.VersionID = value
		case "VERSION_CODENAME":
			d.Codename = value
		case "PRETTY_NAME":
			d.Name = value
		}
	}
	return d
}

// unquote takes off the shell quotes that os-release(5) allows.
func unquote(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		quote := s[0]
		s = s[1 : len(s)-1]
		if quote == '"' {
			s = strings.NewReplacer(`\"`, `"`, `\$`, `$`, `\\`, `\`, "\\`", "`").Replace(s)
		}
	}
	return strings.Map(func(r rune) rune {
		if control(r) || r == '\uFFFD' {
			return -1
		}
		return r
	}, s)
}
