package inventory

import "slices"

// DropPlans takes out of the inventory what only lock files name, recognised by
// the given methods, where what is installed says otherwise: a lock file says
// what somebody meant to install, for whichever platform and purpose.
//
// A lock file half of whose packages, by name, are installed anywhere in the
// image was carried out, and what is installed decides about the rest of them;
// of another, it decides about those that are there in another version. notes
// are methods that prove nothing about what is installed (SBOMs).
func (v *Inventory) DropPlans(plans, notes []string) {
	type name struct {
		typ             Type
		namespace, name string
	}
	nameOf := func(c *Component) name {
		p := productOf(c)
		return name{p.typ, p.namespace, p.name}
	}
	type file struct {
		index int
		path  string
		typ   Type
	}
	isPlan := func(e Evidence) bool { return slices.Contains(plans, e.Method) }
	installed := map[name]bool{}
	planned := map[file]map[name]bool{}
	for i := range v.Components {
		c := &v.Components[i]
		for _, e := range c.Evidence {
			switch n := nameOf(c); {
			case isPlan(e):
				f := file{e.Index, e.Path, c.Type}
				if planned[f] == nil {
					planned[f] = map[name]bool{}
				}
				planned[f][n] = true
			case !slices.Contains(notes, e.Method):
				installed[n] = true
			}
		}
	}
	done := map[file]bool{}
	for f, names := range planned {
		n := 0
		for one := range names {
			if installed[one] {
				n++
			}
		}
		done[f] = 2*n >= len(names)
	}
	v.Components = slices.DeleteFunc(v.Components, func(c Component) bool {
		if slices.ContainsFunc(c.Evidence, func(e Evidence) bool { return !isPlan(e) }) {
			return false
		}
		if installed[nameOf(&c)] {
			return true
		}
		return !slices.ContainsFunc(c.Evidence, func(e Evidence) bool { return !done[file{e.Index, e.Path, c.Type}] })
	})
}
