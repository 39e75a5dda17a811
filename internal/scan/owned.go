package scan

import (
	"regexp"
	"strings"
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
