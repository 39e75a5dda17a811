package inventory

import "slices"

// DropPlans takes out of the inventory what only lock files name, recognised by
// the methods plans, where what is installed says otherwise: a lock file says
// what somebody meant to install, for whichever platform and purpose.
//
// A lock file half of whose packages, by name, are installed anywhere in the
// image was carried out, and what is installed decides about the rest of them;
// of another, it decides about those that are there in another version. notes
// are methods that prove nothing about what is installed (SBOMs).
func (v *Inventory) DropPlans(plans, notes []string) {
	p := planned{methods: plans, installed: map[product]bool{}, named: map[lockFile]map[product]bool{}}
	for i := range v.Components {
		p.gather(&v.Components[i], notes)
	}
	carried := map[lockFile]bool{}
	for f := range p.named {
		carried[f] = p.carriedOut(f)
	}
	v.Components = slices.DeleteFunc(v.Components, func(c Component) bool {
		if slices.ContainsFunc(c.Evidence, func(e Evidence) bool { return !p.plan(e) }) {
			return false
		}
		return p.installed[productOf(&c).unversioned()] ||
			!slices.ContainsFunc(c.Evidence, func(e Evidence) bool { return !carried[lockFile{e.Index, e.Path, c.Type}] })
	})
}

// lockFile is the part of one that names packages of one type.
type lockFile struct {
	index int
	path  string
	typ   Type
}

// planned is what lock files name and what is installed, by product without
// version.
type planned struct {
	methods   []string
	installed map[product]bool
	named     map[lockFile]map[product]bool
}

func (p *planned) plan(e Evidence) bool { return slices.Contains(p.methods, e.Method) }

func (p *planned) gather(c *Component, notes []string) {
	name := productOf(c).unversioned()
	for _, e := range c.Evidence {
		switch {
		case p.plan(e):
			f := lockFile{e.Index, e.Path, c.Type}
			if p.named[f] == nil {
				p.named[f] = map[product]bool{}
			}
			p.named[f][name] = true
		case !slices.Contains(notes, e.Method):
			p.installed[name] = true
		}
	}
}

func (p *planned) carriedOut(f lockFile) bool {
	there := 0
	for name := range p.named[f] {
		if p.installed[name] {
			there++
		}
	}
	return 2*there >= len(p.named[f])
}
