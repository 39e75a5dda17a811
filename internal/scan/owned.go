package scan

import "strings"

// Ownable reports whether path is one that an extractor of a language's
// packages recognises components by. Extractors of the distribution's package
// databases say of these, and of no others, which package brought them.
func Ownable(path string) bool {
	return strings.HasSuffix(path, "/package.json") ||
		strings.HasSuffix(path, ".egg-info") ||
		strings.HasSuffix(path, "/PKG-INFO") ||
		strings.HasSuffix(path, ".dist-info/METADATA")
}
