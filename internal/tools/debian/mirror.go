package debian

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Mirrors says where Debian's archive is found and by which keyring it is
// verified.
type Mirrors struct {
	Main, Security []string // URIs
	Keyring        string   // Signed-By; empty: apt's own trusted keys
}

// The settings of people who want another mirror than the machine's own.
const (
	MainVariable     = "PLIMSOLL_DEBIAN_MIRROR"
	SecurityVariable = "PLIMSOLL_DEBIAN_SECURITY_MIRROR"
)

// FindMirrors finds Debian's archive: by the settings, in the machine's sources,
// or, where the machine is not Debian, as mmdebstrap knows it.
func FindMirrors(ctx context.Context, m Machine, cache string, say func(string, ...any)) (Mirrors, error) {
	found := Mirrors{Main: strings.Fields(os.Getenv(MainVariable)), Security: strings.Fields(os.Getenv(SecurityVariable))}
	if m.ID == "debian" {
		if err := found.fromMachine(m); err != nil {
			return Mirrors{}, err
		}
	}
	if found.Keyring == "" {
		found.Keyring = Keyring("/")
	}
	if len(found.Main) > 0 && len(found.Security) > 0 && found.Keyring != "" {
		return found, nil
	}
	return found.fromTools(ctx, m, cache, say)
}

// fromMachine fills what is missing from the sources of a Debian machine: the
// mirror that has one release has the others too.
func (f *Mirrors) fromMachine(m Machine) error {
	all, err := Sources("/etc/apt")
	if err != nil {
		return err
	}
	for _, s := range carrying(all, m.Codename) {
		if !slices.Contains(s.Components, "main") {
			continue
		}
		if slices.Contains(s.Suites, m.Codename) && len(f.Main) == 0 {
			f.Main, f.Keyring = s.URIs, s.SignedBy
		}
		if slices.Contains(s.Suites, m.Codename+"-security") && len(f.Security) == 0 {
			f.Security = s.URIs
		}
	}
	return nil
}

// Keyring returns the keyring of Debian's archive below root, or nothing.
func Keyring(root string) string {
	for _, name := range []string{"debian-archive-keyring.pgp", "debian-archive-keyring.gpg"} {
		path := filepath.Join(root, "usr/share/keyrings", name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// mirrorWords are the places in mmdebstrap's source where it names the archive.
var mirrorWords = regexp.MustCompile(`\$(mirror|secmirror)\s*=\s*['"](https?://[^'"]*/debian(?:-security)?)['"]`)

// fromTools fills what is missing from the packages mmdebstrap and
// debian-archive-keyring of the machine's own distribution, unpacked privately.
func (f Mirrors) fromTools(ctx context.Context, m Machine, cache string, say func(string, ...any)) (Mirrors, error) {
	say("asking mmdebstrap where Debian's archive is")
	root, err := HostRoot(ctx, m, cache, say)
	if err != nil {
		return f, err
	}
	dir := filepath.Join(cache, "debian-tools")
	packages, err := root.Find(ctx, "mmdebstrap", "debian-archive-keyring")
	if err != nil {
		return f, fmt.Errorf("%w: set %s to the URI of a Debian mirror and install debian-archive-keyring", err, MainVariable)
	}
	if err := root.Unpack(ctx, packages, dir); err != nil {
		return f, err
	}
	script, err := os.ReadFile(filepath.Join(dir, "usr/bin/mmdebstrap"))
	if err != nil {
		return f, fmt.Errorf("read mmdebstrap: %w", err)
	}
	for _, word := range mirrorWords.FindAllStringSubmatch(string(script), -1) {
		switch {
		case word[1] == "mirror" && len(f.Main) == 0:
			f.Main = []string{word[2]}
		case word[1] == "secmirror" && len(f.Security) == 0:
			f.Security = []string{word[2]}
		}
	}
	if f.Keyring == "" {
		f.Keyring = Keyring(dir)
	}
	if len(f.Main) == 0 || len(f.Security) == 0 || f.Keyring == "" {
		return f, fmt.Errorf("no Debian mirror found: set %s and %s to the URIs of one", MainVariable, SecurityVariable)
	}
	return f, nil
}
