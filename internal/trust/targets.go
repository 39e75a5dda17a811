package trust

import (
	"slices"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// targets is the signed part of targets metadata, top-level or delegated (4.5).
type targets struct {
	header
	Targets     map[string]target
	Delegations *delegations // nil if there are none
}

// target is what a role says about one path.
type target struct {
	Length int64
	Hashes hashes
	Custom map[string]any // nil if absent
	rest   map[string]any
}

func decodeTargets(o *object) *targets {
	t := &targets{header: decodeHeader(o, RoleTargets), Targets: map[string]target{}}
	all := o.child("targets")
	all.each(maxTargets, func(name string, v any) {
		if name == "" || len(name) > maxPath {
			all.fail(name, "not a target path")
		}
		t.Targets[name] = decodeTarget(newObject(v, join("targets", name), o.err))
	})
	if o.has("delegations") {
		t.Delegations = decodeDelegations(o.child("delegations"))
	}
	t.rest = o.rest()
	return t
}

func decodeTarget(o *object) target {
	t := target{Length: o.integer("length", 0, maxVersion), Hashes: decodeHashes(o.child("hashes"))}
	if o.has("custom") {
		t.Custom = take[map[string]any](o, "custom")
	}
	t.rest = o.rest()
	return t
}

func (t target) encode() map[string]any {
	fields := map[string]any{"length": t.Length, "hashes": t.Hashes.encode()}
	if t.Custom != nil {
		fields["custom"] = t.Custom
	}
	return withRest(t.rest, fields)
}

func (t *targets) encode() map[string]any {
	all := make(map[string]any, len(t.Targets))
	for name, f := range t.Targets {
		all[name] = f.encode()
	}
	fields := map[string]any{"targets": all}
	if t.Delegations != nil {
		fields["delegations"] = t.Delegations.encode()
	}
	return t.header.encode(fields)
}

// digest returns the digest that t names, by the given algorithm.
func (t target) digest(algorithm string) (ref.Digest, error) {
	d, err := ref.ParseDigest(algorithm + ":" + t.Hashes[algorithm])
	if err != nil {
		return "", fault.As(fault.Untrusted, err)
	}
	return d, nil
}

// delegations say which other roles speak for which paths, most trusted first.
type delegations struct {
	Keys     keys
	Roles    []delegation
	Succinct *succinct // instead of Roles; nil if there is none
	rest     map[string]any
}

// delegation is one delegated role as its delegator describes it.
type delegation struct {
	keyRole
	Name        string
	Terminating bool
	Paths       []string // patterns; nil if Prefixes are given
	Prefixes    []string // of the SHA-256 of the path, in hex
	rest        map[string]any
}

func decodeDelegations(o *object) *delegations {
	d := &delegations{Keys: decodeKeys(o.child("keys"))}
	if o.has("succinct_roles") {
		d.Succinct = decodeSuccinct(o.child("succinct_roles"))
		if o.has("roles") {
			o.fail("roles", "given beside succinct_roles")
		}
		d.rest = o.rest()
		return d
	}
	seen := map[string]bool{}
	for _, v := range o.list("roles", maxRoles) {
		role := decodeDelegation(newObject(v, "delegations.roles", o.err))
		if seen[role.Name] {
			o.fail("roles", "a role occurs twice")
		}
		seen[role.Name] = true
		d.Roles = append(d.Roles, role)
	}
	d.rest = o.rest()
	return d
}

func decodeDelegation(o *object) delegation {
	d := delegation{Name: o.text("name"), keyRole: decodeKeyRole(o), Terminating: o.flag("terminating")}
	if !validRole(d.Name) || isTopLevel(d.Name) {
		o.fail("name", "not a delegated role's name")
	}
	if o.has("paths") {
		d.Paths = o.texts("paths", maxRoles)
	}
	if o.has("path_hash_prefixes") {
		d.Prefixes = o.texts("path_hash_prefixes", maxRoles)
	}
	if (d.Paths == nil) == (d.Prefixes == nil) {
		o.fail("paths", "either paths or path_hash_prefixes must be given")
	}
	for _, p := range d.Paths {
		if len(p) > maxPath {
			o.fail("paths", "a pattern is too long")
		}
	}
	d.rest = o.rest()
	return d
}

func (d *delegations) encode() map[string]any {
	roles := make([]any, 0, len(d.Roles))
	for _, r := range d.Roles {
		fields := r.encode()
		fields["name"], fields["terminating"] = r.Name, r.Terminating
		if r.Prefixes != nil {
			fields["path_hash_prefixes"] = r.Prefixes
		} else {
			fields["paths"] = r.Paths
		}
		roles = append(roles, withRest(r.rest, fields))
	}
	fields := map[string]any{"keys": d.Keys.encode()}
	if d.Succinct != nil {
		fields["succinct_roles"] = d.Succinct.encode()
	}
	if d.Succinct == nil || len(roles) > 0 { // both together are no valid delegations, and refused when read
		fields["roles"] = roles
	}
	return withRest(d.rest, fields)
}

// keys returns the keys of d, which may be nil.
func (d *delegations) keys() keys {
	if d == nil {
		return nil
	}
	return d.Keys
}

func isTopLevel(role string) bool {
	return role == RoleRoot || role == RoleTargets || role == RoleSnapshot || role == RoleTimestamp
}

// covers reports whether the delegation speaks for the target name.
func (d *delegation) covers(name string) bool {
	for _, p := range d.Paths {
		if matchPath(p, name) {
			return true
		}
	}
	if len(d.Prefixes) == 0 {
		return false
	}
	sum, ok := hashOf("sha256", []byte(name))
	return ok && slices.ContainsFunc(d.Prefixes, func(p string) bool { return strings.HasPrefix(sum, p) })
}

// role returns the delegation of that name, or nil.
func (d *delegations) role(name string) *delegation {
	if d == nil {
		return nil
	}
	for i := range d.Roles {
		if d.Roles[i].Name == name {
			return &d.Roles[i]
		}
	}
	return nil
}
