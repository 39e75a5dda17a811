package scan

import (
	"hash/maphash"
	"slices"
	"strings"

	"plimsoll/internal/inventory"
)

// prune forgets what packages own of the layer's files that can neither run nor
// be recognised by: package databases list every file, and of most nobody asks.
// Files that the layer does not write may be in another one, and stay.
func (l *layer) prune() {
	if !l.claims {
		return
	}
	seed := maphash.MakeSeed()
	written := make([]uint64, 0, 1024)
	l.facts.Paths.Each(func(p []byte, dir bool) {
		if !dir {
			written = append(written, maphash.Bytes(seed, p))
		}
	})
	slices.Sort(written)
	writes := func(p string) bool {
		_, ok := slices.BinarySearch(written, maphash.String(seed, p))
		return ok
	}
	for i := range l.facts.Files {
		for k := range l.facts.Files[i].Found {
			f := &l.facts.Files[i].Found[k]
			if len(f.Owned) > 0 {
				f.Owned = slices.Clip(slices.DeleteFunc(f.Owned, func(o inventory.Owned) bool { return !l.matters(o.Path, writes) }))
			}
		}
		l.facts.Files[i].Found = slices.DeleteFunc(l.facts.Files[i].Found, func(f inventory.Found) bool { return f.Empty() })
	}
}

// matters reports whether somebody may ask who owns path.
func (l *layer) matters(path string, writes func(string) bool) bool {
	if strings.HasSuffix(path, "/") || inventory.Ownable(path) || l.programs[path] {
		return true
	}
	usr, merged := "usr/"+path, false
	switch top, _, _ := strings.Cut(path, "/"); top {
	case "bin", "sbin", "lib", "lib32", "lib64", "libx32": // may be links into usr
		if l.programs[usr] {
			return true
		}
		merged = true
	}
	return !writes(path) && (!merged || !writes(usr))
}
