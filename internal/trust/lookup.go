package trust

import (
	"context"
	"slices"

	"plimsoll/internal/fault"
)

// found is a target and the role that named it.
type found struct {
	role   string // that made the statement
	as     string // the role that answers for it: see step
	target target
}

// step is a role on the way through the delegations.
type step struct {
	name  string
	keys  keys
	need  keyRole
	depth int
	as    string // targets, or the role that it delegates to, on whose word this one is asked
	part  bool   // a group or bin of the role above it, which was signed when it was made
}

// lookup returns the target of that name from the most trusted role that has
// it: pre-order, depth first, terminating delegations obeyed (TUF 1.0.34, 5.6.7).
// NotFound if no role has it.
func (t *Trusted) lookup(ctx context.Context, name string) (found, error) {
	stack := []step{{name: RoleTargets, as: RoleTargets, keys: t.root.Signed.Keys, need: t.root.Signed.Roles[RoleTargets]}}
	visited := map[string]bool{}
	for len(stack) > 0 {
		s := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if visited[s.name] {
			continue
		}
		if len(visited) == t.limits.Roles || s.depth > t.limits.Depth {
			return found{}, fault.Errorf(fault.Untrusted, "looking for %q takes too many delegations", name)
		}
		visited[s.name] = true
		m, err := t.role(ctx, s.name, s.keys, s.need)
		if fault.Is(err, fault.NotFound) && s.name != RoleTargets && !s.part {
			continue
		} else if fault.Is(err, fault.NotFound) {
			return found{}, fault.As(fault.Untrusted, err)
		} else if err != nil {
			return found{}, err
		}
		if f, ok := m.Signed.Targets[name]; ok {
			return found{s.name, s.as, f}, nil
		}
		children, terminating := m.Signed.Delegations.covering(name, s.depth+1)
		if terminating {
			stack = nil
		}
		if !t.plain {
			children = settle(s, children)
		}
		answering(s, children)
		slices.Reverse(children)
		stack = append(stack, children...)
	}
	return found{}, fault.Errorf(fault.NotFound, "no role of %s names %q", t.title(), name)
}

// answering marks on whose word the roles below s are asked. Whatever a role that
// targets delegates to calls one below it, it speaks for itself.
func answering(s step, children []step) {
	for i := range children {
		c := &children[i]
		if c.as = s.as; s.name == RoleTargets && !c.part {
			c.as = c.name
		}
	}
}

// covering returns the delegations that speak for name, in order, up to the
// first terminating one, and whether there is such a one.
func (d *delegations) covering(name string, depth int) (all []step, terminating bool) {
	if d == nil {
		return nil, false
	}
	if s := d.Succinct; s != nil { // a bin has the last word on what is its
		return []step{{name: s.bin(name), keys: d.Keys, need: s.keyRole, depth: depth}}, true
	}
	for i := range d.Roles {
		r := &d.Roles[i]
		if !r.covers(name) {
			continue
		}
		all = append(all, step{name: r.Name, keys: d.Keys, need: r.keyRole, depth: depth})
		if r.Terminating {
			return all, true
		}
	}
	return all, false
}
