// Package python recognises Python distributions: those that are installed, by
// the metadata that installers leave (NAME.dist-info/METADATA,
// NAME.egg-info/PKG-INFO, a single file NAME.egg-info, and EGG-INFO/PKG-INFO in
// an unpacked egg), those that lie packed in wheels, eggs and zip applications,
// those of conda, and, as a second best, those that a lock file names (Python
// packaging specifications, "Core metadata", "Recording installed projects" and
// "Binary distribution format").
package python

import (
	"bufio"
	"context"
	"io"
	"path"
	"regexp"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

// Extractor is a [scan.Extractor] of Python distributions.
type Extractor struct{}

var _ scan.Extractor = Extractor{}

const (
	maxHeader = 4 << 20 // bytes before the description
	lineSize  = 1 << 20
)

// separators are what PEP 503 makes one hyphen.
var separators = regexp.MustCompile(`[-_.]+`)

// Name implements [scan.Extractor].
func (Extractor) Name() string { return "python" }

// Version implements [scan.Extractor].
func (Extractor) Version() int { return 2 }

// Wants implements [scan.Extractor].
func (Extractor) Wants(e image.Entry, _ []byte) bool {
	switch p := e.Path; {
	case strings.HasSuffix(p, ".egg-info"), strings.HasSuffix(p, ".dist-info/METADATA"):
		return true
	default:
		return strings.HasSuffix(p, ".egg-info/PKG-INFO") || strings.HasSuffix(p, ".egg/EGG-INFO/PKG-INFO")
	}
}

// Extract implements [scan.Extractor].
func (Extractor) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	c, err := parse(io.LimitReader(f, maxHeader))
	if err != nil {
		found := inventory.Found{}
		if c.Name != "" {
			found.Components = []inventory.Component{c}
		}
		return found, err
	}
	if c.Name == "" {
		if f.Size == 0 {
			return inventory.Found{}, nil
		}
		return inventory.Found{}, fault.Errorf(fault.Invalid, "%q has no field Name", path.Base(f.Path))
	}
	return inventory.Found{Components: []inventory.Component{c}}, nil
}

// parse reads the fields up to the first empty line.
func parse(r io.Reader) (inventory.Component, error) {
	c := inventory.Component{Kind: inventory.Library, Type: inventory.PyPI}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4<<10), lineSize)
	for lines.Scan() {
		line := strings.TrimPrefix(lines.Text(), "\uFEFF")
		if strings.TrimSpace(line) == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || line[0] == ' ' || line[0] == '\t' {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.ToLower(name) {
		case "name":
			if c.Name != "" {
				return c, fault.Errorf(fault.Invalid, "the field Name is there twice")
			}
			c.Name = normal(value)
		case "version":
			if c.Version != "" {
				return c, fault.Errorf(fault.Invalid, "the field Version is there twice")
			}
			c.Version = value
		case "license", "license-expression":
			if value != "" && value != "UNKNOWN" {
				c.Licences = []string{value}
			}
		}
	}
	return c, lines.Err()
}

// normal returns the name as PEP 503 normalises it.
func normal(name string) string {
	return strings.ToLower(separators.ReplaceAllString(name, "-"))
}
