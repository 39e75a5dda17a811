package inventory

import (
	"cmp"
	"maps"
	"slices"
)

// How a component ended.
const (
	wasRemoved  = "removed"
	wasReplaced = "replaced"
)

// End says which layer took a component away. The bytes that it was recognised
// in still ship with the layers below.
type End struct {
	Index int    `json:"index"` // of the layer
	How   string `json:"how"`   // "removed", or "replaced" where the layer wrote another file in its place
}

// ended is a component that a layer took away from a path.
type ended struct {
	component *Component
	where     Evidence // without Layer
}

// end notes the components of files that layer i took away and that are not
// there any more, under the same path, when the layer is done.
func (r *replay) end(i int, gone map[string]*placed, how string) {
	for _, p := range slices.Sorted(maps.Keys(gone)) {
		file := gone[p]
		still := since(r.files[p])
		for k := range file.found {
			l := &file.found[k]
			if l.Unless != "" { // what somebody meant to install ships no code
				continue
			}
			for c := range l.Components {
				one := &l.Components[c]
				if _, there := still[identify(one)]; there {
					continue
				}
				where := sighting(one, Evidence{Index: int(l.since[c]), Path: p, Method: l.Method})
				where.End = &End{Index: i, How: how}
				r.ended = append(r.ended, ended{one, where})
			}
		}
	}
}

// former adds what layers took away: as further evidence of a component that is
// there, too, and as a removed one otherwise.
func (v *Inventory) former(r *replay, all map[identity]int) {
	removed := map[identity]int{}
	for _, e := range r.ended {
		one := *e.component
		v.distribution(&one)
		e.where.Layer = v.Layers[e.where.Index].Digest
		id := identify(&one)
		if i, ok := all[id]; ok {
			v.Components[i].Evidence = append(v.Components[i].Evidence, e.where)
			continue
		}
		i, ok := removed[id]
		if !ok {
			i = len(v.Removed)
			removed[id] = i
			one.Evidence = nil
			v.Removed = append(v.Removed, one)
		}
		v.Removed[i].Evidence = append(v.Removed[i].Evidence, e.where)
	}
}

// compare orders ends by layer; nothing comes before all.
func (e *End) compare(o *End) int {
	switch {
	case e == nil || o == nil:
		return compareBool(e != nil, o != nil)
	case e.Index != o.Index:
		return cmp.Compare(e.Index, o.Index)
	}
	return cmp.Compare(e.How, o.How)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
