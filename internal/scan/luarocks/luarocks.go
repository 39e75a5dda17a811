// Package luarocks recognises installed rocks of Lua by the list of files that
// LuaRocks keeps of each: PREFIX/lib/luarocks/rocks-5.4/NAME/VERSION/rock_manifest.
package luarocks

import (
	"context"
	"encoding/hex"
	"path"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/inventory"
	"plimsoll/internal/scan"
	"plimsoll/internal/scan/metadata"
)

// Extractor is a [scan.Extractor] of installed rocks.
type Extractor struct{}

var _ scan.Extractor = Extractor{}

const maxManifest = 8 << 20 // bytes

// Name implements [scan.Extractor].
func (Extractor) Name() string { return "luarocks" }

// Version implements [scan.Extractor].
func (Extractor) Version() int { return 1 }

// Wants implements [scan.Extractor].
func (Extractor) Wants(e image.Entry, _ []byte) bool {
	return path.Base(e.Path) == "rock_manifest" && strings.HasPrefix(path.Base(path.Dir(path.Dir(path.Dir(e.Path)))), "rocks")
}

// Extract implements [scan.Extractor]. LuaRocks puts shared libraries and a
// starter of each program elsewhere below the prefix, and keeps the program.
func (Extractor) Extract(_ context.Context, f scan.File) (inventory.Found, error) {
	dir := path.Dir(f.Path)
	rocks := path.Dir(path.Dir(dir))
	r := rock{dir: dir, prefix: path.Dir(path.Dir(path.Dir(rocks))), lua: strings.TrimPrefix(path.Base(rocks), "rocks-"), name: strings.ToLower(path.Base(path.Dir(dir)))}
	c := inventory.Component{Kind: inventory.Library, Type: inventory.LuaRocks, Name: r.name, Version: path.Base(dir)}
	err := metadata.Lines(f, maxManifest, r.line)
	return inventory.Found{Components: []inventory.Component{c}, Owned: r.owned}, err
}

// rock is one that is being read.
type rock struct {
	dir, prefix, lua, name string
	tables                 []string // open ones, the outermost first
	owned                  []inventory.Owned
}

const maxTables = 64

// line reads one line of the manifest, a Lua table as LuaRocks writes it: a file
// and its MD5, or the beginning or end of a folder.
func (r *rock) line(line string) error {
	key, value, ok := strings.Cut(strings.TrimSuffix(strings.TrimSpace(line), ","), " = ")
	switch {
	case !ok && key == "}":
		r.tables = r.tables[:max(len(r.tables)-1, 0)]
	case ok && value == "{":
		if r.tables = append(r.tables, name(key)); len(r.tables) > maxTables {
			return fault.Errorf(fault.Invalid, "folders in each other without end")
		}
	case ok && len(r.tables) > 1:
		return r.file(path.Join(append(r.tables[2:len(r.tables):len(r.tables)], name(key))...), strings.Trim(value, `"`))
	}
	return nil
}

// name returns the key of a table's field: NAME or ["NAME"].
func name(key string) string {
	return strings.TrimSuffix(strings.TrimPrefix(key, `["`), `"]`)
}

// file notes a file that may be run.
func (r *rock) file(name, md5 string) error {
	sum := ""
	if b, err := hex.DecodeString(md5); err == nil && len(b) == 16 {
		sum = "md5:" + strings.ToLower(md5)
	}
	switch r.tables[1] {
	case "bin":
		r.own(path.Join(r.dir, "bin"), name, sum)
		r.own(path.Join(r.prefix, "bin"), name, "")
	case "lib":
		r.own(path.Join(r.prefix, "lib/lua", r.lua), name, sum)
	}
	if len(r.owned) > scan.MaxComponents {
		return fault.Errorf(fault.Invalid, "more than %d files", scan.MaxComponents)
	}
	return nil
}

func (r *rock) own(dir, name, sum string) {
	if p, ok := metadata.Inside(dir, name); ok && strings.HasPrefix(p, dir+"/") {
		r.owned = append(r.owned, inventory.Owned{Path: p, Package: r.name, Type: inventory.LuaRocks, Sum: sum})
	}
}
