package app

import (
	"path/filepath"

	"plimsoll/internal/scan"
	"plimsoll/internal/scan/all"
)

// Scanner returns a scanner with all extractors. It keeps the facts of layers
// under the folder of state unless fresh is set, and tells warn, unless it is
// nil, what went wrong with them; warn may be called concurrently.
func (s Settings) Scanner(fresh bool, warn func(error)) *scan.Scanner {
	c := scan.Config{Extractors: all.Extractors(), Warn: warn}
	if !fresh {
		c.Cache = scan.Folder{Path: filepath.Join(s.Data, "cache", "layers")}
	}
	return scan.New(c)
}
