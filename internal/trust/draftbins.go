package trust

import (
	"context"
	"maps"
	"slices"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// home returns the name of the metadata in which role keeps a target: its own or
// that of one of its bins.
func (d *draft) home(ctx context.Context, role, name string) (string, error) {
	own, err := d.look(ctx, role)
	if err != nil || own == nil {
		return role, err
	}
	s, err := d.speaks(role)
	if err != nil {
		return "", err
	}
	g := own.Delegations.ownGroup(s, name)
	if g == nil {
		return role, nil
	}
	group, err := d.part(ctx, g.Name)
	if err != nil {
		return "", err
	}
	if b := group.Delegations.ownBin(s, g.Name, name); b != nil {
		return b.Name, nil
	}
	return "", fault.Errorf(fault.Untrusted, "%s has no bin for %q", g.Name, name)
}

// part is look for what must be there.
func (d *draft) part(ctx context.Context, name string) (*targets, error) {
	t, err := d.look(ctx, name)
	if err == nil && t == nil {
		err = fault.Errorf(fault.Untrusted, "%s metadata is missing", name)
	}
	return t, err
}

// at returns the metadata in which role keeps the target of that name, for
// changing, and what it is called: the role's own, or one of its bins.
func (d *draft) at(ctx context.Context, role, name string) (t *targets, home string, err error) {
	if home, err = d.home(ctx, role, name); err == nil {
		t, err = d.change(ctx, home)
	}
	return t, home, err
}

// add names m in role's metadata, or in that of its bins.
func (d *draft) add(ctx context.Context, role string, m *Image) error {
	if _, err := d.speaks(role); err != nil {
		return err
	}
	if err := d.mayName(role, m); err != nil {
		return err
	}
	all := m.targets()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t, home, err := d.at(ctx, role, name)
		if err != nil {
			return err
		}
		f := all[name]
		if old, ok := t.Targets[name]; ok { // it may be a platform of another image
			f = f.ofImages(old.images())
		}
		t.Targets[name] = f
		if home != role {
			if err := d.point(ctx, role, m.Digest, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// point writes the targets of the platforms of f, an image, into bins.
func (d *draft) point(ctx context.Context, role string, image ref.Digest, f target) error {
	for name, p := range platformTargets(image, f) {
		t, _, err := d.at(ctx, role, name)
		if err != nil {
			return err
		}
		pointTo(t, name, p)
	}
	return nil
}

// pointTo adds the platform's target p to t.
func pointTo(t *targets, name string, p target) {
	if old, ok := t.Targets[name]; ok {
		p = old.ofImages(append(old.images(), p.images()...))
	}
	t.Targets[name] = p
}

// fit gives role more bins where what was changed calls for it, and signs all of
// them again if they would expire before the given time: a bin that nothing is
// added to must not run out unseen.
func (d *draft) fit(ctx context.Context, role string, before time.Time) error {
	own, err := d.look(ctx, role)
	if err != nil || own == nil {
		return err
	}
	s, err := d.speaks(role)
	if err != nil {
		return err
	}
	split, old := ownerOf(role) == role && (role == RoleTargets || delegable.MatchString(role)) && len(own.Targets) > maxUnbinned, false
	for _, k := range binKinds {
		if !own.Delegations.isOwnGroup(s, k.group(role)) {
			continue
		}
		group, err := d.part(ctx, k.group(role))
		if err != nil {
			return err
		}
		old = old || group.Expires.Before(before)
		bins := group.Delegations.ownBins(s, k.group(role))
		for _, b := range bins {
			t := d.signed[b.Name]
			split = split || (t != nil && k.crowded(len(t.Targets), len(bins)))
		}
	}
	switch {
	case split:
		return d.split(ctx, role)
	case old:
		return d.again(ctx, role)
	}
	return nil
}

// again signs all that role has signed before, by the keys that it has now.
func (d *draft) again(ctx context.Context, role string) error {
	own, err := d.look(ctx, role)
	if err != nil || own == nil {
		return err
	}
	before, _ := d.spoke(role)
	now, err := d.speaks(role)
	if err != nil {
		return err
	}
	if own, err = d.change(ctx, role); err != nil {
		return err
	}
	for _, k := range binKinds {
		name := k.group(role)
		if !own.Delegations.isOwnGroup(before, name) && !own.Delegations.isOwnGroup(now, name) {
			continue
		}
		group, err := d.change(ctx, name)
		if err != nil {
			return err
		}
		own.Delegations.entrust(now, name)
		for _, b := range group.Delegations.ownBins(before, name) {
			if _, err := d.change(ctx, b.Name); err != nil {
				return err
			}
			group.Delegations.entrust(now, b.Name)
		}
	}
	return nil
}

// entrust gives the delegation called name the keys of s.
func (d *delegations) entrust(s step, name string) {
	d.role(name).keyRole = s.bare()
	for _, k := range s.need.of(s.keys) {
		d.Keys[k.ID] = k
	}
	d.prune()
}

// bare returns the keys and the threshold of s, and nothing that its delegator
// added to them.
func (s step) bare() keyRole {
	return keyRole{KeyIDs: slices.Clone(s.need.KeyIDs), Threshold: s.need.Threshold}
}

// all returns every target that role names, in its own metadata and in its bins.
func (d *draft) all(ctx context.Context, role string) (map[string]target, error) {
	own, err := d.look(ctx, role)
	if err != nil || own == nil {
		return nil, err
	}
	s, err := d.speaks(role)
	if err != nil {
		return nil, err
	}
	all := maps.Clone(own.Targets)
	for _, k := range binKinds {
		if !own.Delegations.isOwnGroup(s, k.group(role)) {
			continue
		}
		group, err := d.part(ctx, k.group(role))
		if err != nil {
			return nil, err
		}
		for _, b := range group.Delegations.ownBins(s, k.group(role)) {
			bin, err := d.part(ctx, b.Name)
			if err != nil {
				return nil, err
			}
			maps.Copy(all, bin.Targets)
		}
	}
	return all, nil
}

// split puts every target of role into as many bins as it takes. All of them are
// signed anew.
func (d *draft) split(ctx context.Context, role string) error {
	all, err := d.all(ctx, role)
	if err != nil {
		return err
	}
	own, err := d.change(ctx, role)
	if err != nil {
		return err
	}
	if err := complete(all); err != nil {
		return err
	}
	s, err := d.speaks(role)
	if err != nil {
		return err
	}
	if own.Delegations == nil {
		own.Delegations = &delegations{Keys: keys{}}
	}
	own.Targets = map[string]target{}
	sorted := map[string]map[string]target{}
	for name, f := range all {
		k := kindOf(name)
		if k == nil { // no door asks for such names
			own.Targets[name] = f
			continue
		}
		if sorted[k.suffix] == nil {
			sorted[k.suffix] = map[string]target{}
		}
		sorted[k.suffix][name] = f
	}
	for i := range slices.Backward(binKinds) { // each is put before what is there
		if err := d.fill(ctx, s, own, binKinds[i], sorted[binKinds[i].suffix]); err != nil {
			return err
		}
	}
	return nil
}

// complete adds the targets of platforms that roles without bins do not have.
func complete(all map[string]target) error {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f := all[name]
		image, err := f.digest("sha256")
		if err != nil || name != digestTarget(image) {
			continue
		}
		t := targets{Targets: all}
		for name, p := range platformTargets(image, f) {
			if p.Length <= 0 {
				err := fault.Errorf(fault.Conflict, "image %s was signed without the sizes of its platforms' manifests", image)
				return fault.Hint(err, "sign it again, or revoke it: plimsoll trust revoke GUN %s", image)
			}
			pointTo(&t, name, p)
		}
	}
	return nil
}

// fill writes the bins of one kind, and the delegations to them.
func (d *draft) fill(ctx context.Context, s step, own *targets, k binKind, all map[string]target) error {
	name := k.group(s.name)
	if own.Delegations.role(name) != nil && !own.Delegations.isOwnGroup(s, name) {
		return fault.Errorf(fault.Conflict, "role %q has too many targets for one file, and its bins cannot be called %q: another role is", s.name, name)
	}
	if own.Delegations.role(name) == nil { // what lies there is that of a role that was dropped
		d.signed[name] = newTargets(d.gun)
	}
	group, err := d.change(ctx, name)
	if err != nil {
		return err
	}
	n := k.bins(len(all))
	n = max(n, len(group.Delegations.ownBins(s, name))) // what was ever in a snapshot stays there
	bins := spread(k, n, all)
	for slices.ContainsFunc(bins, func(b map[string]target) bool { return k.crowded(len(b), n) }) {
		n *= 2
		bins = spread(k, n, all)
	}
	if own.Delegations.role(name) == nil {
		own.Delegations.Roles = slices.Insert(own.Delegations.Roles, 0, delegation{Name: name, Paths: []string{k.pattern}})
	}
	own.Delegations.entrust(s, name)
	was := group.Delegations
	group.Delegations = &delegations{Keys: keys{}}
	for i, b := range bins {
		r := k.bin(s.name, i, n, s.bare())
		if was.role(r.Name) == nil {
			d.signed[r.Name] = newTargets(d.gun)
		}
		group.Delegations.Roles = append(group.Delegations.Roles, r)
		group.Delegations.entrust(s, r.Name)
		t, err := d.change(ctx, r.Name)
		if err != nil {
			return err
		}
		t.Targets = b
	}
	return nil
}

// spread returns what lies in each of n bins.
func spread(k binKind, n int, all map[string]target) []map[string]target {
	bins := make([]map[string]target, n)
	prefixes := map[string]int{}
	digits := 0
	for i := range bins {
		bins[i] = map[string]target{}
		for _, p := range k.bin("", i, n, keyRole{}).Prefixes {
			prefixes[p], digits = i, len(p)
		}
	}
	for name, f := range all {
		sum, _ := hashOf("sha256", []byte(name))
		bins[prefixes[sum[:digits]]][name] = f
	}
	return bins
}
