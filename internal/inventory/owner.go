package inventory

// owner is a package of the distribution and the layer that brought it.
type owner struct {
	purl  string
	layer int
}

// owners says which package of the distribution brought a file, by path with
// symlinks followed.
type owners map[string]owner

// owners gathers what the package databases say. A claim counts only if the
// package is installed.
func (v *Inventory) owners(r *replay, paths []string) owners {
	type key struct {
		typ  Type
		name string
	}
	installed := map[key]owner{}
	each(r, paths, func(l *located) {
		for c := range l.Components {
			if one := l.Components[c]; one.Kind == OS {
				v.distribution(&one)
				installed[key{one.Type, one.Name}] = owner{v.PURL(&one), int(l.since[c])}
			}
		}
	})
	out := owners{}
	each(r, paths, func(l *located) {
		for _, o := range l.Owned {
			if by, ok := installed[key{o.Type, o.Package}]; ok {
				out[r.resolve(o.Path)] = by
			}
		}
	})
	return out
}

func each(r *replay, paths []string, fn func(*located)) {
	for _, p := range paths {
		for k := range r.files[p].found {
			fn(&r.files[p].found[k])
		}
	}
}

// of returns the package URL of the owner of the file at path that the layer
// wrote, or "". A file that is younger than the package was written by somebody
// else over the package's.
func (o owners) of(path string, layer int) string {
	if by, ok := o[path]; ok && layer <= by.layer {
		return by.purl
	}
	return ""
}
