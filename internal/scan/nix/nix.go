// Package nix recognises packages in a Nix store by the names of its folders,
// nix/store/HASH-NAME-VERSION (Nix manual, "Store path"). Images that Nix builds
// carry the store and no database of it.
//
// Only regular files are looked at, so that a package is seen if it has a
// program or a shared library, and one of data only is not. Nobody can say
// whether such a file is as the package brought it, so that none is owned; it is
// explained by the package that is seen in it.
package nix

import (
	"context"
	"strings"

	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
)

// Extractor is a [scan.Extractor] of packages in a Nix store.
type Extractor struct{}

var _ scan.Extractor = Extractor{}

const (
	root     = "nix/store/"
	hashSize = 32
	// digits are those of Nix's base 32.
	digits = "0123456789abcdfghijklmnpqrsvwxyz"
)

// Name implements [scan.Extractor].
func (Extractor) Name() string { return "nix" }

// Version implements [scan.Extractor].
func (Extractor) Version() int { return 1 }

// Wants implements [scan.Extractor]: programs and shared libraries in the store.
func (Extractor) Wants(e image.Entry, _ []byte) bool {
	if !strings.HasPrefix(e.Path, root) || e.Mode&0o111 == 0 && !strings.Contains(e.Path[strings.LastIndexByte(e.Path, '/'):], ".so") {
		return false
	}
	_, _, ok := parse(e.Path)
	return ok
}

// Extract implements [scan.Extractor]. The path says all: nothing is read.
func (Extractor) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	name, version, ok := parse(f.Path)
	if !ok {
		return inventory.Found{}, nil
	}
	c := inventory.Component{Kind: inventory.OS, Type: inventory.Nix, Name: name, Version: version}
	return inventory.Found{Components: []inventory.Component{c}}, nil
}

// outputs are the parts that Nix splits packages into; the folder of each but
// the first has its name at the end.
var outputs = []string{"-bin", "-data", "-debug", "-dev", "-dist", "-doc", "-info", "-lib", "-libgcc", "-man", "-out", "-py", "-static", "-terminfo"}

// parse returns the name and the version of the package that brought the file at
// p. The version begins after the first hyphen that no letter follows, as
// builtins.parseDrvName has it; a folder without one is no package: an
// environment, a hook, a piece of configuration.
func parse(p string) (name, version string, ok bool) {
	folder, _, below := strings.Cut(strings.TrimPrefix(p, root), "/")
	if !below || len(folder) < hashSize+2 || folder[hashSize] != '-' || strings.Trim(folder[:hashSize], digits) != "" {
		return "", "", false
	}
	s := folder[hashSize+1:]
	if strings.HasSuffix(s, ".drv") {
		return "", "", false
	}
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '-' && !letter(s[i+1]) {
			name, version = s[:i], s[i+1:]
			break
		}
	}
	for _, o := range outputs {
		if v, cut := strings.CutSuffix(version, o); cut {
			version = v
			break
		}
	}
	return name, version, version != "" && version[0] >= '0' && version[0] <= '9'
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
