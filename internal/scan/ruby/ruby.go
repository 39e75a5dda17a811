// Package ruby recognises gems: those that are installed, each by the
// specification that RubyGems or Bundler writes into a folder "specifications",
// and, as a second best, those that a project's Gemfile.lock says were meant to be
// installed.
package ruby

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"regexp"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

// Gems is a [scan.Extractor] of installed gems.
type Gems struct{}

var _ scan.Extractor = Gems{}

const (
	maxSpecification = 8 << 20 // bytes that are read
	maxLine          = 4 << 20 // bytes: a list of files is one line
)

// Name implements [scan.Extractor].
func (Gems) Name() string { return "gem" }

// Version implements [scan.Extractor].
func (Gems) Version() int { return 1 }

// Wants implements [scan.Extractor]: specifications/NAME-VERSION.gemspec, and
// those of gems that come with Ruby in specifications/default. A file of that
// ending elsewhere is a gem's source.
func (Gems) Wants(e image.Entry, _ []byte) bool {
	if !strings.HasSuffix(e.Path, ".gemspec") {
		return false
	}
	_, ok := home(e.Path)
	return ok
}

// home returns the folder that the gem's code lies in beside its specification:
// that above specifications, with a slash at its end, or "" at the top.
func home(p string) (string, bool) {
	dir := strings.TrimSuffix(path.Dir(p), "/default")
	above, ok := strings.CutSuffix(dir, "specifications")
	return above, ok && (above == "" || above[len(above)-1] == '/')
}

// gem is what a specification says.
type gem struct{ name, version, platform, licence string }

// Extract implements [scan.Extractor]. The first lines are comments for programs
// that do not want to run the rest, "# stub: NAME VERSION PLATFORM PATHS" among
// them; specifications of RubyGems before 2.1 have none.
func (Gems) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	g, err := read(f)
	if err != nil {
		return inventory.Found{}, err
	}
	if g.name == "" {
		if f.Size == 0 {
			return inventory.Found{}, nil
		}
		return inventory.Found{}, fault.Errorf(fault.Invalid, "%q names no gem", path.Base(f.Path))
	}
	found := inventory.Found{Components: []inventory.Component{g.component()}}
	above, _ := home(f.Path)
	full := strings.TrimSuffix(path.Base(f.Path), ".gemspec")
	found.Owned = []inventory.Owned{{Path: above + "gems/" + full + "/", Package: g.name, Type: inventory.Gem}}
	return found, nil
}

func (g gem) component() inventory.Component {
	c := inventory.Component{Kind: inventory.Library, Type: inventory.Gem, Name: g.name, Version: g.version}
	if g.licence != "" {
		c.Licences = []string{g.licence}
	}
	return c
}

// setting matches what assigns a string literal to a field of the specification:
// s.name = "rack".freeze, s.version = Gem::Version.new("1.0"), s.licenses = [%q{MIT}].
var setting = regexp.MustCompile(`^\s*\w+\.(name|version|licenses?|platform)\s*=\s*(?:Gem::Version\.new[ (]\s*)?\[?\s*(?:%q[{<]([^}>]*)|["']([^"']*)["'])`)

// read reads a specification. What the stub says counts: it is what Ruby goes by.
func read(f scan.File) (gem, error) {
	var g, stub gem
	lines := bufio.NewScanner(io.LimitReader(f, maxSpecification))
	lines.Buffer(make([]byte, 0, 16<<10), maxLine)
	for n := 0; lines.Scan(); n++ {
		line := lines.Bytes()
		if rest, ok := strings.CutPrefix(string(line[:min(len(line), 512)]), "# stub: "); ok && n < 3 {
			if w := strings.Fields(rest); len(w) >= 3 && stub.name == "" { // a second one lists native parts
				stub = gem{name: w[0], version: w[1], platform: w[2]}
			}
			continue
		}
		g.set(line)
	}
	if err := lines.Err(); err != nil && (stub.name == "" || !errors.Is(err, bufio.ErrTooLong)) {
		return gem{}, err
	}
	if stub.name != "" {
		g.name, g.version, g.platform = stub.name, stub.version, stub.platform
	}
	return g, nil
}

// set takes a field from a line. The first assignment counts.
func (g *gem) set(line []byte) {
	line = line[:min(len(line), 512)]
	if bytes.IndexByte(line[:min(len(line), 32)], '.') < 0 {
		return
	}
	m := setting.FindSubmatch(line)
	if m == nil {
		return
	}
	field := map[string]*string{"name": &g.name, "version": &g.version, "platform": &g.platform, "license": &g.licence, "licenses": &g.licence}[string(m[1])]
	if value := string(m[2]) + string(m[3]); *field == "" && !strings.Contains(value, "#{") {
		*field = value
	}
}
