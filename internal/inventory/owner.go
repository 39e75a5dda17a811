package inventory

import "strings"

// packageKey names a package in its database.
type packageKey struct {
	typ  Type
	name string
}

// owner is a package and the layer that brought it.
type owner struct {
	purl  string
	layer int
	os    bool // a package of the distribution
}

// claim is what the record of a package says of a file.
type claim struct {
	owner
	sum string
}

// owners says what the records of packages say of files, by path with symlinks
// followed.
type owners struct {
	claims  map[string][]claim
	folders map[string]bool // what is below them
	under   map[string]bool // folders that were asked about, and whether one of those is above
	terms   map[packageKey][]string
}

// owners gathers what the package databases say. A claim counts only if the
// package is installed.
func (v *Inventory) owners(r *replay, paths []string) owners {
	out := owners{claims: map[string][]claim{}, folders: map[string]bool{}, under: map[string]bool{}, terms: map[packageKey][]string{}}
	installed := map[packageKey]owner{}
	each(r, paths, func(l *located) {
		for c := range l.Components {
			one := l.Components[c]
			if one.Kind == Native || len(l.Claimed) > 0 {
				continue // recognised or stated, which says nothing of the database
			}
			v.distribution(&one)
			installed[packageKey{one.Type, one.Name}] = owner{v.PURL(&one), int(l.since[c]), one.Kind == OS}
		}
		for k := range l.Terms {
			t := &l.Terms[k]
			out.terms[packageKey{t.Type, t.Package}] = t.Licences
		}
	})
	each(r, paths, func(l *located) {
		for k := range l.Owned {
			o := &l.Owned[k]
			by, ok := installed[packageKey{o.Type, o.Package}]
			if !ok {
				continue
			}
			if folder, ok := strings.CutSuffix(o.Path, "/"); ok {
				out.folders[folder] = true
				continue
			}
			p := r.resolve(o.Path)
			out.claims[p] = append(out.claims[p], claim{by, o.Sum})
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

// of returns the package URL of the distribution's package that owns the file at
// path that the layer wrote, or "". A file that is younger than the package was
// written by somebody else over the package's, and one that lies where no
// distribution installs is mended by none.
func (o *owners) of(path string, layer int) string {
	if !Ownable(path) {
		return ""
	}
	for _, c := range o.claims[path] {
		if c.os && layer <= c.layer {
			return c.purl
		}
	}
	return ""
}

// above reports whether a package owns a folder above path. What is learnt of
// folders is kept: paths may be deep, and scripts many.
func (o *owners) above(path string) bool {
	if len(o.folders) == 0 {
		return false
	}
	asked, owned := []string{}, false
	for d := parent(path); d != ""; d = parent(d) {
		known, ok := o.under[d]
		if _, owned = o.folders[d]; owned || ok {
			owned = owned || known
			break
		}
		asked = append(asked, d)
	}
	for _, d := range asked {
		o.under[d] = owned
	}
	return owned
}
