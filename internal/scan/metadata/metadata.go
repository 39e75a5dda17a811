// Package metadata reads the small files in which package managers of languages
// say what they installed or meant to install: JSON as a stream, text by lines,
// both bounded, and the lists of components that come of them.
package metadata

import (
	"bufio"
	"cmp"
	"io"
	"path"
	"slices"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

const maxLine = 1 << 20 // bytes of a line

// Lines calls fn with the lines of a file of at most limit bytes, without what
// ends them. It is Invalid if the file or a line is longer than any honest one.
func Lines(f scan.File, limit int64, fn func(line string) error) error {
	if f.Size > limit {
		return fault.Errorf(fault.Invalid, "larger than %d bytes", limit)
	}
	lines := bufio.NewScanner(io.LimitReader(f, limit))
	lines.Buffer(make([]byte, 0, 16<<10), maxLine)
	for lines.Scan() {
		if err := fn(strings.TrimSuffix(lines.Text(), "\r")); err != nil {
			return err
		}
	}
	return lines.Err()
}

// All returns the content of a file of at most limit bytes.
func All(f scan.File, limit int64) (string, error) {
	if f.Size > limit {
		return "", fault.Errorf(fault.Invalid, "larger than %d bytes", limit)
	}
	b, err := io.ReadAll(io.LimitReader(f, limit))
	return string(b), err
}

// List is the components of one file.
type List []inventory.Component

// Add adds components; it is Invalid if there are more than a file may have.
func (l *List) Add(more ...inventory.Component) error {
	if *l = append(*l, more...); len(*l) > scan.MaxComponents {
		return fault.Errorf(fault.Invalid, "more than %d packages", scan.MaxComponents)
	}
	return nil
}

// Planned returns what a lock file says: the components, each once, which count
// unless something was recognised in the directory unless, and only with the
// confidence that a plan deserves.
func (l List) Planned(unless string) inventory.Found {
	order := func(a, b inventory.Component) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	}
	slices.SortFunc(l, order)
	l = slices.CompactFunc(l, func(a, b inventory.Component) bool { return order(a, b) == 0 })
	for i := range l {
		l[i].Evidence = []inventory.Evidence{{Confidence: Plan}}
	}
	return inventory.Found{Components: l, Unless: unless}
}

// Plan is the confidence in what a lock file says: that something was meant to
// be installed is no proof that it was.
const Plan = 0.7

// MayRun reports whether a file of that name is one that people or the loader
// run: in a folder for programs, a shared library, or without an extension.
// Others are not worth a record of their own.
func MayRun(name string) bool {
	dir, base := path.Split(name)
	switch ext := path.Ext(base); ext {
	case ".so", ".dll", ".exe", ".pyd", ".dylib", ".node", ".wasm", ".sh", "":
		return true
	}
	if strings.Contains(base, ".so.") {
		return true
	}
	for element := range strings.SplitSeq(dir, "/") {
		switch strings.ToLower(element) {
		case "bin", "sbin", "libexec", "scripts":
			return true
		}
	}
	return false
}

// Inside returns the path that name, as a record in the directory dir has it,
// leads to in the image, without a leading slash. It reports false if that
// leaves the root or is the root.
func Inside(dir, name string) (string, bool) {
	p := strings.TrimPrefix(name, "/")
	if p == name {
		p = path.Join(dir, name)
	} else {
		p = path.Clean(p)
	}
	if p == "." || p == ".." || strings.HasPrefix(p, "../") || strings.HasPrefix(p, "/") {
		return "", false
	}
	return p, true
}

// Project reports whether the file at p may speak for a project of the image:
// it does not lie in a package that was installed, or where distributions do.
func Project(p string) bool {
	if strings.HasPrefix(p, "usr/") && !strings.HasPrefix(p, "usr/src/") && !strings.HasPrefix(p, "usr/local/") {
		return false
	}
	for element := range strings.SplitSeq(p, "/") {
		switch element {
		case "node_modules", "site-packages", "dist-packages", "testdata", "fixtures", "test-fixtures":
			return false
		}
	}
	return true
}
