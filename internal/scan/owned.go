package scan

import (
	"regexp"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/inventory"
)

// distributed matches where distributions install what they mend themselves:
// Python's own folders, and those that Debian, Alpine and Fedora give to npm
// packages. What packages of third parties bundle lies elsewhere: below opt,
// usr/local, srv (Filesystem Hierarchy Standard 3.0) or a folder of their own,
// as in usr/share/kibana/node_modules, and no distribution mends it.
var distributed = regexp.MustCompile(`^usr/(lib(32|64)?/python[0-9.]*/|share/nodejs/|lib/([^/]+/)?nodejs/|lib(64)?/node_modules[^/]*/)`)

// Ownable reports whether path is one that an extractor of a language's
// packages recognises components by, and lies where distributions install.
// Extractors of the distribution's package databases say of these, and of no
// others, which package brought them.
func Ownable(path string) bool {
	return MayOwn(path[strings.LastIndexByte(path, '/')+1:]) && distributed.MatchString(path)
}

// MayOwn reports whether a file of that name, in the right folder, is [Ownable].
func MayOwn(name string) bool {
	switch name {
	case "METADATA", "PKG-INFO", "package.json":
		return true
	}
	return strings.HasSuffix(name, ".egg-info")
}

// Owned gathers the files that a distribution's packages own, within bounds.
type Owned struct {
	List  []inventory.Owned
	bytes int
}

const (
	maxOwnedPath  = 4096     // bytes, as PATH_MAX
	maxOwnedBytes = 16 << 20 // of all paths of one database file
)

// Add notes that the package owns dir/name, if that is [Ownable]. It is Invalid
// if there are more such files than any distribution has.
func (o *Owned) Add(dir, name, pkg string, t inventory.Type) error {
	if !MayOwn(name) || len(dir)+len(name) > maxOwnedPath {
		return nil
	}
	path := strings.TrimPrefix(dir+"/"+name, "/")
	if !distributed.MatchString(path) {
		return nil
	}
	o.bytes += len(path)
	if o.List = append(o.List, inventory.Owned{Path: path, Package: pkg, Type: t}); len(o.List) > MaxComponents || o.bytes > maxOwnedBytes {
		return fault.Errorf(fault.Invalid, "packages own more than %d files or %d bytes of paths", MaxComponents, maxOwnedBytes)
	}
	return nil
}
