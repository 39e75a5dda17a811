package ruby

import (
	"context"
	"path"
	"strings"

	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/metadata"
)

// Locks is a [scan.Extractor] of Bundler's lock files.
type Locks struct{}

var _ scan.Extractor = Locks{}

const maxLock = 16 << 20 // bytes

// Name implements [scan.Extractor].
func (Locks) Name() string { return "gem-lock" }

// Version implements [scan.Extractor].
func (Locks) Version() int { return 1 }

// Wants implements [scan.Extractor]. A lock file in an installed gem is its
// makers' own.
func (Locks) Wants(e image.Entry, _ []byte) bool {
	switch path.Base(e.Path) {
	case "Gemfile.lock", "gems.locked":
		return !strings.Contains(e.Path, "/gems/") && metadata.Project(e.Path)
	}
	return false
}

// Extract implements [scan.Extractor]: of each source of gems ("GEM", and "GIT"
// and "PATH", which are not released) the list "specs", in which gems are
// indented by four spaces and what they need by six.
func (Locks) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	var found metadata.List
	source, specs := "", false
	err := metadata.Lines(f, maxLock, func(line string) error {
		switch {
		case line == "":
			specs = false
		case line[0] != ' ':
			source, specs = line, false
		case strings.HasPrefix(line, "  specs:"):
			specs = true
		case specs && source == "GEM" && strings.HasPrefix(line, "    ") && !strings.HasPrefix(line, "     "):
			if g, ok := locked(line); ok {
				return found.Add(g.component())
			}
		}
		return nil
	})
	return found.Planned(path.Dir(f.Path)), err
}

// locked reads "    nokogiri (1.13.10-x86_64-linux)".
func locked(line string) (gem, bool) {
	name, rest, ok := strings.Cut(strings.TrimSpace(line), " (")
	version, ok2 := strings.CutSuffix(rest, ")")
	if !ok || !ok2 || version == "" {
		return gem{}, false
	}
	version, platform, _ := strings.Cut(version, "-")
	return gem{name: name, version: version, platform: platform}, name != ""
}
