package inventory

import (
	"cmp"
	"fmt"
	"slices"
)

// identity is what makes two components one.
type identity struct {
	kind                     Kind
	typ                      Type
	namespace, name, version string
	arch, owner              string
	relation                 Relation
}

func identify(c *Component) identity {
	return identity{c.Kind, c.Type, c.Namespace, c.Name, c.Version, c.Arch, c.Owner, c.Relation}
}

// Merge replays the facts of an image's layers, bottom first, over each other
// and sets the inventory's Layers, Distro, Components, Removed, Stated, Accounts,
// Secrets and Unreadable. bad says what is known to be bad and may be nil. What the
// layers could not tell (Image, Manifest, Platform, Layer.By and Base) is left alone.
func (v *Inventory) Merge(layers []*Facts, bad Bad) {
	r := &replay{files: map[string]*placed{}, tree: &tree{}, removed: map[Type]removal{}}
	by := v.Layers
	v.Layers = make([]Layer, len(layers))
	v.Components, v.Removed = []Component{}, []Component{}
	v.Unreadable = append([]Unreadable{}, v.Unreadable...)
	for i, f := range layers {
		v.Layers[i] = Layer{Digest: f.Digest, DiffID: f.DiffID, Size: f.Size}
		if i < len(by) {
			v.Layers[i].By, v.Layers[i].Base = by[i].By, by[i].Base
		}
		r.apply(i, f)
		r.unlinked(layers[:i+1])
		for _, u := range f.Unreadable {
			u.Layer, u.Index = f.Digest, i
			v.Unreadable = append(v.Unreadable, u)
		}
	}
	if r.more > 0 {
		r.issues = append(r.issues, Unreadable{Index: len(layers) - 1, Reason: fmt.Sprintf("%d more links and files could not be looked at", r.more)})
	}
	for _, u := range r.issues {
		u.Layer = layers[u.Index].Digest
		v.Unreadable = append(v.Unreadable, u)
	}
	v.Distro = Distro{}
	if _, f := r.osRelease(); f != nil {
		v.Distro = *f.distro()
	}
	v.collect(r, bad)
	v.DropPlans(r.plans())
	v.checkStated(r, layers)
	v.secrets(r, layers)
	v.missing(r)
	v.sort()
}

// collect turns the files that are left into components: the distribution's
// first, because they own others.
func (v *Inventory) collect(r *replay, bad Bad) {
	all := map[identity]int{}
	paths := r.sorted()
	own := v.owners(r, paths)
	below := recognised(r, paths)
	for _, p := range paths {
		file := r.files[p]
		kept := file.machine() && own.keeps(r.resolve(p), file)
		for k := range file.found {
			l := &file.found[k]
			if l.Unless != "" && below[l.Unless] {
				continue
			}
			for c := range l.Components {
				one := l.Components[c]
				v.distribution(&one)
				switch {
				case file.machine() && (one.Kind == OS || one.Kind == Native):
					if kept {
						continue // the package says it, and its distribution mends it
					}
				case one.Kind == OS:
					one.Licences = cmpOr(one.Licences, own.terms[packageKey{one.Type, one.Name}])
				default:
					one.Owner = own.of(r.resolve(p), int(l.since[c]))
				}
				where := sighting(&one, Evidence{Layer: v.Layers[l.since[c]].Digest, Index: int(l.since[c]), Path: p, Method: l.Method})
				if file.machine() {
					where.BuildID = file.program.BuildID
				}
				v.add(all, &one, where)
			}
		}
	}
	v.former(r, all)
	v.account(r, paths, own, bad)
}

// cmpOr returns a if there is something in it, else b.
func cmpOr(a, b []string) []string {
	if len(a) > 0 {
		return a
	}
	return b
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

// sighting completes the evidence for c with what its extractor said of it.
func sighting(c *Component, where Evidence) Evidence {
	where.Confidence = 1
	if len(c.Evidence) > 0 {
		where.Path = cmp.Or(c.Evidence[0].Path, where.Path)
		where.Confidence = cmp.Or(c.Evidence[0].Confidence, where.Confidence)
	}
	return where
}

// distribution gives a package of the distribution its namespace: package
// databases do not say whose they are.
func (v *Inventory) distribution(c *Component) {
	if c.Kind == OS && c.Namespace == "" && c.Type != Nix && c.Type != Brew {
		c.Namespace = v.Distro.ID
	}
}

func (v *Inventory) sort() {
	sortComponents(v.Components)
	sortComponents(v.Removed)
	slices.SortStableFunc(v.Unreadable, func(a, b Unreadable) int {
		return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Reason, b.Reason))
	})
}

// sortComponents orders components, and the evidence of each: what is there
// before what was, and the introducing layer first.
func sortComponents(all []Component) {
	for i := range all {
		e := all[i].Evidence
		slices.SortFunc(e, compareEvidence)
		all[i].Evidence = slices.CompactFunc(e, func(a, b Evidence) bool {
			return a.Index == b.Index && a.Path == b.Path && a.Method == b.Method && a.End.compare(b.End) == 0
		})
	}
	slices.SortFunc(all, func(a, b Component) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name),
			cmp.Compare(a.Version, b.Version), cmp.Compare(a.Arch, b.Arch), cmp.Compare(a.Owner, b.Owner), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Relation, b.Relation))
	})
}

// compareEvidence puts what is there before what was, lower layers before higher
// ones, and what is sure before what is less so.
func compareEvidence(a, b Evidence) int {
	return cmp.Or(a.End.compare(b.End), cmp.Compare(a.Index, b.Index), cmp.Compare(b.Confidence, a.Confidence), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
}
