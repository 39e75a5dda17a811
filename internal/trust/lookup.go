package trust

import (
	"context"
	"slices"

	"plimsoll/internal/fault"
)

// found is a target and the role that named it.
type found struct {
	role   string
	target target
}

// step is a role on the way through the delegations.
type step struct {
	name  string
	keys  keys
	need  keyRole
	depth int
}

// lookup returns the target of that name from the most trusted role that has
// it: pre-order, depth first, terminating delegations obeyed (TUF 1.0.34, 5.6.7).
// NotFound if no role has it.
func (t *Trusted) lookup(ctx context.Context, name string) (found, error) {
	stack := []step{{name: RoleTargets, keys: t.root.Signed.Keys, need: t.root.Signed.Roles[RoleTargets]}}
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
		if fault.Is(err, fault.NotFound) && s.name != RoleTargets {
			continue
		} else if err != nil {
			return found{}, err
		}
		if f, ok := m.Signed.Targets[name]; ok {
			return found{s.name, f}, nil
		}
		children, terminating := m.Signed.Delegations.covering(name, s.depth+1)
		if terminating {
			stack = nil
		}
		slices.Reverse(children)
		stack = append(stack, children...)
	}
	return found{}, fault.Errorf(fault.NotFound, "no role of %s names %q", t.title(), name)
}

// covering returns the delegations that speak for name, in order, up to the
// first terminating one, and whether there is such a one.
func (d *delegations) covering(name string, depth int) (all []step, terminating bool) {
	if d == nil {
		return nil, false
	}
	if s := d.Succinct; s != nil { // a bin has the last word on what is its
		return []step{{s.bin(name), d.Keys, s.keyRole, depth}}, true
	}
	for i := range d.Roles {
		r := &d.Roles[i]
		if !r.covers(name) {
			continue
		}
		all = append(all, step{r.Name, d.Keys, r.keyRole, depth})
		if r.Terminating {
			return all, true
		}
	}
	return all, false
}

// speaker is a role's metadata with the keys that may sign it.
type speaker struct {
	*metadata[*targets]
	keys keys
	need keyRole
}

// direct returns what each role says about name in its own metadata (TAP 3): the
// top-level targets and the roles that they delegate to directly. A role that
// one of those delegates to in turn is not asked: otherwise one of them could
// make a role with another's name and answer for it.
func (t *Trusted) direct(ctx context.Context, name string) (map[string]speaker, error) {
	r := t.root.Signed
	all := map[string]speaker{RoleTargets: {t.targets, r.Keys, r.Roles[RoleTargets]}}
	children, _ := t.targets.Signed.Delegations.covering(name, 1)
	if len(children) > t.limits.Roles {
		return nil, fault.Errorf(fault.Untrusted, "%d roles speak for %q", len(children), name)
	}
	for _, s := range children {
		m, err := t.role(ctx, s.name, s.keys, s.need)
		if fault.Is(err, fault.NotFound) {
			continue
		} else if err != nil {
			return nil, err
		}
		all[s.name] = speaker{m, s.keys, s.need}
	}
	return all, nil
}
