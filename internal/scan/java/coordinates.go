package java

import (
	"strings"

	"plimsoll/internal/inventory"
)

// coordinates name an artifact in a Maven repository.
type coordinates struct{ group, artifact, version string }

// component returns the artifact as a component. A version that Maven did not
// fill in is unknown.
func (c coordinates) component(kind inventory.Kind) inventory.Component {
	return inventory.Component{Kind: kind, Type: inventory.Maven, Namespace: c.group, Name: c.artifact, Version: c.version}
}

// clean returns c without surrounding space and without what a build did not
// fill in.
func (c coordinates) clean() coordinates {
	for _, s := range []*string{&c.group, &c.artifact, &c.version} {
		if *s = strings.TrimSpace(*s); strings.ContainsAny(*s, "${}@ \t\n") {
			*s = ""
		}
	}
	return c
}

// isVersion reports whether s begins as the versions of artifacts do.
func isVersion(s string) bool {
	s = strings.TrimPrefix(s, "v")
	return s != "" && s[0] >= '0' && s[0] <= '9' && len(s) <= 256 && !strings.ContainsAny(s, "${}?@\"/ ")
}

// split parts the name of a file without its ending into the artifact's name and
// version. All that follows the version's first word is of it, as in "2.0-rc-1";
// so are classifiers ("-linux-x86_64"), which nothing tells apart.
func split(stem string) (name, version string) {
	tokens := strings.Split(stem, "-")
	for i := 1; i < len(tokens); i++ {
		if !isVersion(tokens[i]) || followed(tokens[i+1:]) {
			continue
		}
		name, version = strings.Join(tokens[:i], "-"), strings.Join(tokens[i:], "-")
		// log4j-1.2-1.2.17: the line that a version belongs to is no part of the name.
		if i > 1 && strings.HasPrefix(version, tokens[i-1]+".") && isVersion(tokens[i-1]) {
			name = strings.Join(tokens[:i-1], "-")
		}
		return name, version
	}
	return stem, ""
}

// followed reports whether another version follows, so that what is before it
// is a part of the name: log4j-1.2-api-2.17.1. The time of a snapshot is none:
// foo-1.0-20240131.120000-1.
func followed(tokens []string) bool {
	for _, t := range tokens {
		if isVersion(t) && strings.Contains(t, ".") && !isTime(t) {
			return true
		}
	}
	return false
}

// isTime reports whether s is the time of a snapshot, "20240131.120000".
func isTime(s string) bool {
	day, time, ok := strings.Cut(s, ".")
	return ok && len(day) == len("20060102") && len(time) == len("150405")
}
