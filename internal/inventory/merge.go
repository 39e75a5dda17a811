package inventory

import (
	"cmp"
	"slices"
)

// identity is what makes two components one.
type identity struct {
	kind                     Kind
	typ                      Type
	namespace, name, version string
	arch, owner              string
}

func identify(c *Component) identity {
	return identity{c.Kind, c.Type, c.Namespace, c.Name, c.Version, c.Arch, c.Owner}
}

// Merge replays the facts of an image's layers, bottom first, over each other
// and sets the inventory's Layers, Distro, Components and Unreadable. What the
// layers could not tell (Image, Manifest, Platform, Layer.By) is left alone.
func (v *Inventory) Merge(layers []*Facts) {
	r := &replay{files: map[string]*placed{}, tree: &tree{}, removed: map[Type]removal{}}
	by := v.Layers
	v.Layers = make([]Layer, len(layers))
	v.Components, v.Unreadable = []Component{}, append([]Unreadable{}, v.Unreadable...)
	for i, f := range layers {
		v.Layers[i] = Layer{Digest: f.Digest, DiffID: f.DiffID, Size: f.Size}
		if i < len(by) {
			v.Layers[i].By = by[i].By
		}
		r.apply(i, f)
		for _, u := range f.Unreadable {
			u.Layer, u.Index = f.Digest, i
			v.Unreadable = append(v.Unreadable, u)
		}
	}
	for _, u := range r.issues {
		u.Layer = layers[u.Index].Digest
		v.Unreadable = append(v.Unreadable, u)
	}
	v.Distro = Distro{}
	if _, f := r.osRelease(); f != nil {
		v.Distro = *f.distro()
	}
	v.collect(r)
	v.missing(r)
	v.sort()
}

// collect turns the files that are left into components: the distribution's
// first, because they own others.
func (v *Inventory) collect(r *replay) {
	all := map[identity]int{}
	paths := r.sorted()
	owners := v.owners(r, paths)
	below := recognised(r, paths)
	for _, p := range paths {
		file := r.files[p]
		for k := range file.found {
			l := &file.found[k]
			if l.Unless != "" && below[l.Unless] {
				continue
			}
			for c := range l.Components {
				one := l.Components[c]
				v.distribution(&one)
				if one.Kind != OS {
					one.Owner = owners.of(r.resolve(p), int(l.since[c]))
				}
				where := Evidence{Layer: v.Layers[l.since[c]].Digest, Index: int(l.since[c]), Path: p, Method: l.Method}
				v.add(all, &one, where)
			}
		}
	}
}

// recognised returns the directories that have components of their own right
// somewhere below them.
func recognised(r *replay, paths []string) map[string]bool {
	dirs := map[string]bool{}
	for _, p := range paths {
		own := func(l located) bool { return l.Unless == "" && len(l.Components) > 0 }
		if !slices.ContainsFunc(r.files[p].found, own) {
			continue
		}
		for d := parent(p); d != "" && !dirs[d]; d = parent(d) {
			dirs[d] = true
		}
	}
	return dirs
}

// add puts one sighting of a component into the inventory.
func (v *Inventory) add(all map[identity]int, c *Component, where Evidence) {
	where.Confidence = 1
	if len(c.Evidence) > 0 {
		where.Path = cmp.Or(c.Evidence[0].Path, where.Path)
		where.Confidence = cmp.Or(c.Evidence[0].Confidence, where.Confidence)
	}
	id := identify(c)
	i, ok := all[id]
	if !ok {
		i = len(v.Components)
		all[id] = i
		v.Components = append(v.Components, *c)
		v.Components[i].Evidence = nil
	}
	v.Components[i].Evidence = append(v.Components[i].Evidence, where)
}

// distribution gives a package of the distribution its namespace: package
// databases do not say whose they are.
func (v *Inventory) distribution(c *Component) {
	if c.Kind == OS && c.Namespace == "" {
		c.Namespace = v.Distro.ID
	}
}

func (v *Inventory) sort() {
	for i := range v.Components {
		e := v.Components[i].Evidence
		slices.SortFunc(e, func(a, b Evidence) int {
			return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
		})
		v.Components[i].Evidence = slices.Compact(e)
	}
	slices.SortFunc(v.Components, func(a, b Component) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name),
			cmp.Compare(a.Version, b.Version), cmp.Compare(a.Arch, b.Arch), cmp.Compare(a.Owner, b.Owner), cmp.Compare(a.Kind, b.Kind))
	})
	slices.SortStableFunc(v.Unreadable, func(a, b Unreadable) int {
		return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Reason, b.Reason))
	})
}
