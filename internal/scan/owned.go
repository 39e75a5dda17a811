package scan

import "strings"

// Ownable reports whether path is one that an extractor of a language's
// packages recognises components by. Extractors of the distribution's package
// databases say of these, and of no others, which package brought them.
//
// Not so below opt and usr/local: there packages of third parties lie
// (Filesystem Hierarchy Standard 3.0, sections 3.13 and 4.9), and what they
// bundle no distribution mends.
func Ownable(path string) bool {
	if strings.HasPrefix(path, "opt/") || strings.HasPrefix(path, "usr/local/") {
		return false
	}
	return strings.HasSuffix(path, "/package.json") ||
		strings.HasSuffix(path, ".egg-info") ||
		strings.HasSuffix(path, "/PKG-INFO") ||
		strings.HasSuffix(path, ".dist-info/METADATA")
}
