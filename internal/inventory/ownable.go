package inventory

import (
	"regexp"
	"strings"
)

// Where distributions install what they mend themselves: Python's own folders,
// those that Debian, Alpine and Fedora give to npm packages, and so on. What
// packages of third parties bundle lies elsewhere: below opt, usr/local, srv
// (Filesystem Hierarchy Standard 3.0) or a folder of their own, as in
// usr/share/kibana/node_modules, and no distribution mends it.
var (
	pythonFolders = regexp.MustCompile(`^usr/lib(32|64)?/python[0-9.]*/`)
	nodeFolders   = regexp.MustCompile(`^usr/(share/nodejs/|lib/([^/]+/)?nodejs/|lib(64)?/node_modules[^/]*/)`)
	javaFolders   = regexp.MustCompile(`^usr/(share/(java|maven-repo)|lib/(java|jvm))/`)
	rubyFolders   = regexp.MustCompile(`^usr/(share/(rubygems-integration|gems|ruby)|lib(64)?/([^/]+/)?(rubygems-integration|ruby|gems))/`)
	phpFolders    = regexp.MustCompile(`^usr/share/(php|pear|wordpress)/`)
	dotnetFolders = regexp.MustCompile(`^usr/(lib(64)?/(mono|cli|dotnet)|share/dotnet)/`)
	erlangFolders = regexp.MustCompile(`^usr/lib(64)?/(erlang|elixir)/lib/[^/]+/ebin/`)
	rFolders      = regexp.MustCompile(`^usr/lib(64)?/R/(library|site-library)/[^/]+/`)
	ghcFolders    = regexp.MustCompile(`^(var/lib/ghc|usr/lib(64)?/ghc[^/]*)/(.*/)?package\.conf\.d/`)
	wheelFolders  = regexp.MustCompile(`^usr/(share/python-wheels|lib/python[0-9.]*/ensurepip/_bundled)/`)
)

// Ownable reports whether path is one that an extractor of a language's
// packages recognises components by, and lies where distributions install: only
// of these the package of the distribution that brought them is asked instead of
// the language's advisories.
func Ownable(path string) bool {
	where := folders(path[strings.LastIndexByte(path, '/')+1:])
	return where != nil && where.MatchString(path)
}

// MayOwn reports whether a file of that name, in the right folder, is [Ownable].
func MayOwn(name string) bool { return folders(name) != nil }

// folders returns where a file of that name is ownable, nil if nowhere.
func folders(name string) *regexp.Regexp {
	switch name {
	case "METADATA", "PKG-INFO":
		return pythonFolders
	case "package.json":
		return nodeFolders
	case "installed.json", "version.php":
		return phpFolders
	case "release":
		return javaFolders
	case "DESCRIPTION":
		return rFolders
	}
	switch name[max(strings.LastIndexByte(name, '.'), 0):] {
	case ".egg-info":
		return pythonFolders
	case ".jar", ".war":
		return javaFolders
	case ".gemspec":
		return rubyFolders
	case ".reg":
		return phpFolders
	case ".dll":
		return dotnetFolders
	case ".app":
		return erlangFolders
	case ".conf":
		return ghcFolders
	case ".whl":
		return wheelFolders
	case ".json":
		if strings.HasSuffix(name, ".deps.json") {
			return dotnetFolders
		}
	}
	return nil
}
