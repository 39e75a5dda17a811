package trust

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// check verifies what the ceremony says as far as its own bytes can: each root
// by the one before it, the current metadata by the current root, and that each
// proposal is the next version of what it follows.
func (c *Ceremony) check() error {
	if gun, err := ref.ParseGUN(string(c.gun)); err != nil || gun != c.gun {
		return fault.Errorf(fault.Invalid, "%q is not the name of a repository", string(c.gun))
	}
	if c.root == nil && len(c.roles) == 0 {
		return fault.Errorf(fault.Invalid, "nothing is proposed")
	}
	for _, step := range []func() error{c.checkChain, c.checkCurrent, c.checkRoot, c.checkRoles} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Ceremony) checkChain() error {
	t := &Trusted{gun: c.gun}
	for i, m := range c.roots {
		name := rootName(m.Signed.Version)
		if m.Signed.Version != int64(i)+1 {
			return fault.Errorf(fault.Untrusted, "%s stands where root %d belongs", name, i+1)
		}
		if err := t.checkRoot(m); err != nil {
			return wrap(name, err)
		}
		if i == 0 {
			continue
		}
		old := c.roots[i-1].Signed
		if err := m.verify(old.Keys, old.Roles[RoleRoot]); err != nil {
			return wrap(name+", by the keys of the root before it,", err)
		}
	}
	return nil
}

// checkCurrent verifies the metadata that the proposals follow, targets first:
// it says whose keys the others' are.
func (c *Ceremony) checkCurrent() error {
	top := c.current[RoleTargets]
	if c.Starts() {
		if len(c.current) > 0 || c.root == nil {
			return fault.Errorf(fault.Untrusted, "no chain of roots leads to what is there")
		}
		return nil
	}
	if top == nil {
		return fault.Errorf(fault.Untrusted, "the current targets metadata is missing")
	}
	r := c.base().Signed
	by := signedBy{r.Keys, r.Roles[RoleTargets]}
	if err := c.checkFile(RoleTargets, top, by); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(c.current)) {
		role := ownerOf(name)
		if role == RoleTargets {
			if err := c.checkFile(name, c.current[name], by); err != nil {
				return err
			}
			continue
		}
		d := top.Signed.Delegations.role(role)
		if d == nil {
			return fault.Errorf(fault.Untrusted, "%s metadata: nobody delegated to it", name)
		}
		if err := c.checkFile(name, c.current[name], signedBy{top.Signed.Delegations.Keys, d.keyRole}); err != nil {
			return err
		}
	}
	return nil
}

func (c *Ceremony) checkFile(role string, m *metadata[*targets], by signedBy) error {
	if err := m.verify(by.keys, by.role); err != nil {
		return wrap(role, err)
	}
	return wrapIf(role, checkGUN(m.Signed.head(), c.gun))
}

func wrapIf(role string, err error) error {
	if err == nil {
		return nil
	}
	return wrap(role, err)
}

func (c *Ceremony) checkRoot() error {
	if c.root == nil {
		return nil
	}
	r, name := c.root.signed, "proposed root"
	want := int64(1)
	was := &root{}
	if !c.Starts() {
		was = c.base().Signed
		want = was.Version + 1
	}
	if r.Version != want {
		return fault.Errorf(fault.Untrusted, "%s: it has version %d, what it follows takes %d", name, r.Version, want)
	}
	if err := c.checkProposal(name, c.root.message, r, &was.header); err != nil {
		return err
	}
	if !r.Consistent {
		return fault.Errorf(fault.Invalid, "%s: snapshots must be consistent", name)
	}
	for role, k := range r.Roles {
		if _, old := was.Roles[role]; !old && !isTopLevel(role) {
			return unknownChange(name)
		}
		if err := canMeet(role, signedBy{r.Keys, k}); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		before := was.Roles[role]
		if !same(k.rest, before.rest) || !plainRole(signedBy{r.Keys, k}, signedBy{was.Keys, before}) {
			return unknownChange(name)
		}
	}
	return plainKeys(name, r.Keys, was.Keys, slices.Collect(maps.Values(r.Roles)))
}

func (c *Ceremony) checkRoles() error {
	for role, p := range c.roles {
		name, was := "proposed "+role, &targets{}
		if m := c.current[role]; m != nil {
			was = m.Signed
		} else if role == RoleTargets && !c.Starts() {
			return fault.Errorf(fault.Untrusted, "%s: what it follows is missing", name)
		}
		if p.signed.Version != was.Version+1 {
			return fault.Errorf(fault.Untrusted, "%s: it has version %d, what it follows takes %d", name, p.signed.Version, was.Version+1)
		}
		if err := c.checkProposal(name, p.message, p.signed, &was.header); err != nil {
			return err
		}
		if err := canMeet(role, c.speakers(role)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := checkChanges(name, p.signed, was); err != nil {
			return err
		}
	}
	return nil
}

// checkProposal checks what a proposal of any role must be: this repository's,
// exactly what is read out of it, and without fields that nobody can describe.
func (c *Ceremony) checkProposal(name string, message []byte, b body, was *header) error {
	again, err := canonical(b.encode())
	if err != nil {
		return err
	}
	if !bytes.Equal(again, message) {
		return fault.Errorf(fault.Invalid, "%s: it holds more than can be read out of it", name)
	}
	if err := checkGUN(b.head(), c.gun); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if spec := b.head().spec; spec != was.spec && spec != specVersion {
		return unknownChange(name)
	}
	if !same(without(b.head().rest, attestationsField), without(was.rest, attestationsField)) {
		return unknownChange(name)
	}
	return nil
}

// checkChanges checks that what is new in a targets role can be told in words.
func checkChanges(name string, now, was *targets) error {
	for path, f := range now.Targets {
		if old, ok := was.Targets[path]; ok && same(old.encode(), f.encode()) {
			continue
		}
		if len(f.rest) > 0 || !tellable(path, f) {
			return unknownChange(name)
		}
	}
	d, old := now.Delegations, was.Delegations
	if d == nil {
		return nil
	}
	if old == nil {
		old = &delegations{}
	}
	if !same(d.rest, old.rest) || d.Succinct != nil {
		return unknownChange(name)
	}
	for i := range d.Roles {
		r := &d.Roles[i]
		if err := canMeet(r.Name, signedBy{d.Keys, r.keyRole}); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		before := &delegation{}
		if was := old.role(r.Name); was != nil {
			before = was
		}
		if !same(r.rest, before.rest) || !plainRole(signedBy{d.Keys, r.keyRole}, signedBy{old.Keys, before.keyRole}) {
			return unknownChange(name)
		}
	}
	var roles []keyRole
	for i := range d.Roles {
		roles = append(roles, d.Roles[i].keyRole)
	}
	return plainKeys(name, d.Keys, old.Keys, roles)
}

// plainKeys checks that new keys say nothing but what they are, and are some
// role's: the words tell of no others.
func plainKeys(name string, now, was keys, roles []keyRole) error {
	for id, k := range now {
		if old := was[id]; old != nil && same(old.object, k.object) {
			continue
		}
		used := slices.ContainsFunc(roles, func(r keyRole) bool { return slices.Contains(r.KeyIDs, id) })
		if plain, err := NewKey(k.Public); err != nil || !used || plain.ID != id || !same(plain.object, k.object) {
			return unknownChange(name)
		}
	}
	return nil
}

// plainRole reports whether the role's new keys are such as the words tell of:
// understood, and each under one ID, since other clients count IDs.
func plainRole(now, before signedBy) bool {
	old := set(before.role.KeyIDs)
	seen := map[string]bool{}
	for _, id := range now.role.KeyIDs {
		k, was := now.keys[id], before.keys[id]
		if old[id] && k != nil && was != nil && same(k.object, was.object) {
			seen[k.Fingerprint] = true
			continue
		}
		if k == nil || k.Public == nil || seen[k.Fingerprint] {
			return false
		}
		seen[k.Fingerprint] = true
	}
	return true
}

func unknownChange(name string) error {
	return fault.Errorf(fault.Invalid, "%s: it changes what this version of plimsoll cannot tell in words", name)
}

// canMeet refuses a role whose threshold its keys can never reach.
func canMeet(role string, by signedBy) error {
	if n := len(by.role.of(by.keys)); by.role.Threshold < 1 || n < by.role.Threshold {
		return fault.Errorf(fault.Untrusted, "role %q takes %d signatures and has %d keys", role, by.role.Threshold, n)
	}
	return nil
}

// same reports whether two values have one canonical form.
func same(a, b map[string]any) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	x, errX := canonical(a)
	y, errY := canonical(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func without(m map[string]any, field string) map[string]any {
	if _, ok := m[field]; !ok {
		return m
	}
	m = maps.Clone(m)
	delete(m, field)
	return m
}
