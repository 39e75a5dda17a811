package inventory

import (
	"fmt"
	"path"
	"strings"
)

// databases are where package managers keep what they installed, each a file or
// a folder of files.
var databases = []string{
	"var/lib/dpkg/status", "var/lib/dpkg/status.d",
	"lib/apk/db/installed", "usr/lib/apk/db/installed",
	"var/lib/rpm/Packages", "var/lib/rpm/Packages.db", "var/lib/rpm/rpmdb.sqlite",
	"usr/lib/sysimage/rpm/Packages", "usr/lib/sysimage/rpm/Packages.db", "usr/lib/sysimage/rpm/rpmdb.sqlite",
	"usr/share/rpm/Packages", "usr/share/rpm/Packages.db", "usr/share/rpm/rpmdb.sqlite",
	pacmanFolder,
}

// pacmanFolder holds a folder for each package of pacman.
const pacmanFolder = "var/lib/pacman/local"

// LeadsToDatabase reports whether p is a package database, a folder above one,
// or a file in one that is a folder: a symlink there must be known, because
// databases are recognised by their path.
func LeadsToDatabase(p string) bool {
	for _, d := range databases {
		if p == d || strings.HasPrefix(d, p+"/") || path.Dir(p) == d {
			return true
		}
	}
	return path.Dir(path.Dir(p)) == pacmanFolder
}

// removal is a package database that a layer took away.
type removal struct {
	layer int
	path  string
}

// missing reports package databases that were there and cannot be read any
// more, or never could: without them the packages have no names, and nothing
// known about them would be found.
func (v *Inventory) missing(r *replay) {
	has := map[Type]bool{}
	for i := range v.Components {
		if c := &v.Components[i]; c.Kind == OS {
			has[c.Type] = true
		}
	}
	report := func(layer int, path, reason string, args ...any) {
		v.Unreadable = append(v.Unreadable, Unreadable{
			Layer: v.Layers[layer].Digest, Index: layer, Path: path, Reason: fmt.Sprintf(reason, args...),
		})
	}
	for typ, gone := range r.removed {
		if !has[typ] {
			report(gone.layer, gone.path, "the package database was removed: the packages that it listed may still be there")
		}
	}
	linked := r.linked(report)
	if p, f := r.osRelease(); f != nil && len(has) == 0 && len(r.removed) == 0 && !linked {
		report(f.layer, p, "the image says that it is %q and has no package database: its packages have no names", v.Distro.ID)
	}
}

// linked reports databases that lie where a symlink leads and no database is
// looked for.
func (r *replay) linked(report func(layer int, path, reason string, args ...any)) (found bool) {
	known := map[string]bool{}
	for _, d := range databases {
		known[d] = true
	}
	seen := map[string]bool{}
	check := func(p string, ok func(string) bool) {
		link, to := r.through(p)
		if link == "" || ok(to) || seen[link] {
			return
		}
		seen[link], found = true, true
		report(r.files[link].layer, link, "a link on the way to a package database, which leads to %q, where none is looked for", to)
	}
	for _, d := range databases {
		check(d, func(to string) bool { return known[to] })
	}
	for p, f := range r.files {
		if f.symlink != "" && (known[path.Dir(p)] || path.Dir(path.Dir(p)) == pacmanFolder) {
			check(p, func(string) bool { return false })
		}
	}
	return found
}

// through follows the symlinks that are known on the way to p, one element at a
// time. It returns the first of them, "" if there is none, and where p leads.
func (r *replay) through(p string) (link, to string) {
	for range 40 { // as many as Linux follows
		next := ""
		for i := 0; i <= len(p); i++ {
			if i < len(p) && p[i] != '/' {
				continue
			}
			if f := r.files[p[:i]]; f != nil && f.symlink != "" {
				if link == "" {
					link = p[:i]
				}
				next = path.Join(follow(path.Dir(p[:i]), f.symlink), p[i:])
				break
			}
		}
		if next == "" {
			return link, p
		}
		p = next
	}
	return link, "" // a loop
}
