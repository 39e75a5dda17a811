package node

import (
	"strings"

	"plimsoll/internal/scan"
	"plimsoll/internal/scan/metadata"
)

// yarn reads yarn.lock, of Yarn 1 and of the YAML that later ones write. Both
// are made by a program, one field a line, and are read as such: no part of
// YAML that could surprise is looked at. Neither says what is for development.
//
//	"@scope/name@^1.0.0", "@scope/name@^1.2.0":
//	  version "1.2.3"
//
//	"@scope/name@npm:^1.0.0":
//	  version: 1.2.3
//	  resolution: "@scope/name@npm:1.2.3"
func (l *list) yarn(f scan.File) error {
	var name string
	return metadata.Lines(f, maxLock, func(line string) error {
		switch {
		case line == "" || line[0] == '#':
		case line[0] != ' ':
			name = wanted(line)
		case strings.HasPrefix(line, `  version "`):
			return l.Add(released(name, strings.Trim(line[len("  version "):], `"`))...)
		case strings.HasPrefix(line, "  resolution: "):
			real, version := at(strings.Trim(line[len("  resolution: "):], `"`))
			if version, ok := strings.CutPrefix(version, "npm:"); ok {
				return l.Add(released(real, version)...)
			}
		}
		return nil
	})
}

// wanted returns the name of the package in the first of a block's patterns,
// behind an alias ("short@npm:real@^1") the real one.
func wanted(line string) string {
	first, _, _ := strings.Cut(strings.TrimSuffix(line, ":"), ",")
	first = strings.Trim(strings.TrimSpace(first), `"`)
	if i := strings.Index(first, "@npm:"); i > 0 {
		first = first[i+len("@npm:"):]
	}
	i := strings.IndexByte(first[min(1, len(first)):], '@')
	if i < 0 {
		return first
	}
	return first[:i+1]
}
