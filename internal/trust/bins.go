package trust

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"plimsoll/internal/ref"
)

// A role that names more than maxUnbinned targets keeps them in bins: roles of
// its own keys and threshold, each for the names whose SHA-256 begins with some
// prefixes (TUF 1.0.34, 4.5, path_hash_prefixes). Tags and digests are binned
// apart, so that a reader who asks by tag moves no custom parts: the role
// delegates "*" to the group "<role>__tags" and "sha256/*" to "<role>__digests",
// and each group to its bins, "<role>__tags_00" and so on. A bin adds nothing to
// what its role may say. No role can be made that is called like a bin, since
// underscores are not taken in names of roles.
const maxUnbinned = 2000

// binKind is one of the two sorts of names.
type binKind struct {
	suffix      string
	pattern     string // of the names
	least, most int    // number of bins
	share, full int
}

// Each bin costs every reader some 390 bytes, in the manifest and in the
// snapshot, as much as four tags in a bin; so n tags are cheapest in about √n/2
// bins. Entries of digests are some ten times as long, and are read only where
// somebody asks by digest: there are fewer of those bins.
var binKinds = []binKind{
	{suffix: "tags", pattern: "*", least: 16, most: 128, share: 3, full: 4},
	{suffix: "digests", pattern: "sha256/*", least: 4, most: 64, share: 128, full: 160},
}

// bins returns how many bins n names get: a power of two.
func (k binKind) bins(n int) int {
	bins := k.least
	for bins < k.most && n > k.share*bins*bins {
		bins *= 2
	}
	return bins
}

// crowded reports whether a bin of that many names, one of so many bins, calls
// for twice as many.
func (k binKind) crowded(names, bins int) bool { return bins < k.most && names > k.full*bins }

// group returns what the delegation to the role's bins of this kind is called.
func (k binKind) group(role string) string { return role + "__" + k.suffix }

// bin returns the delegation to bin i of n.
func (k binKind) bin(role string, i, n int, by keyRole) delegation {
	digits, prefixes := 1, 16
	for prefixes < n {
		digits, prefixes = digits+1, prefixes*16
	}
	d := delegation{keyRole: by, Name: fmt.Sprintf("%s_%02x", k.group(role), i)}
	for p := i * prefixes / n; p < (i+1)*prefixes/n; p++ {
		d.Prefixes = append(d.Prefixes, fmt.Sprintf("%0*x", digits, p))
	}
	return d
}

// kindOf returns the kind of bins that names like this one lie in, or nil.
func kindOf(name string) *binKind {
	for i, k := range binKinds {
		if (&delegation{Paths: []string{k.pattern}}).covers(name) {
			return &binKinds[i]
		}
	}
	return nil
}

var binName = regexp.MustCompile(`^(.+)__(tags|digests)(_[0-9a-f]{2})?$`)

// ownerOf returns the role that a group or bin of this name belongs to, and
// otherwise name itself.
func ownerOf(name string) string {
	if m := binName.FindStringSubmatch(name); m != nil {
		return m[1]
	}
	return name
}

// misplaced reports whether name is that of a group or bin, and parent is not
// the role that it belongs below: somebody calls a role like another's bin.
func misplaced(parent, name string) bool {
	m := binName.FindStringSubmatch(name)
	switch {
	case m == nil:
		return false
	case m[3] == "":
		return parent != m[1]
	}
	return parent != m[1]+"__"+m[2]
}

// settle leaves out those of the roles that s delegates to which are called like
// another role's group or bin, and marks those that are its own.
func settle(s step, children []step) []step {
	children = slices.DeleteFunc(children, func(c step) bool { return misplaced(s.name, c.name) })
	for i := range children {
		c := &children[i]
		c.part = ownerOf(c.name) != c.name && c.same(s)
	}
	return children
}

// same reports whether just the same keys speak for both, under one threshold.
func (s step) same(o step) bool {
	fingerprints := func(ks []*Key) map[string]bool {
		all := map[string]bool{}
		for _, k := range ks {
			all[k.Fingerprint] = true
		}
		return all
	}
	return s.need.Threshold == o.need.Threshold && maps.Equal(fingerprints(s.need.of(s.keys)), fingerprints(o.need.of(o.keys)))
}

// same reports whether the delegation is to just the keys and the threshold that
// speak for s.
func (d *delegations) same(r *delegation, s step) bool {
	return s.same(step{keys: d.Keys, need: r.keyRole})
}

// ownGroup returns the delegation of role s to its bins for names like name, or
// nil. One of that name with other keys is somebody else's.
func (d *delegations) ownGroup(s step, name string) *delegation {
	k := kindOf(name)
	if k == nil {
		return nil
	}
	r := d.role(k.group(s.name))
	if r == nil || !d.same(r, s) || !slices.Equal(r.Paths, []string{k.pattern}) {
		return nil
	}
	return r
}

// ownBins returns the delegations of a group of role s to its bins.
func (d *delegations) ownBins(s step, group string) []*delegation {
	if d == nil {
		return nil
	}
	var all []*delegation
	for i := range d.Roles {
		if r := &d.Roles[i]; r.Name != group && ownerOf(r.Name) == s.name && !misplaced(group, r.Name) && d.same(r, s) {
			all = append(all, r)
		}
	}
	return all
}

// ownBin returns the bin for name, or nil.
func (d *delegations) ownBin(s step, group, name string) *delegation {
	all := d.ownBins(s, group)
	if i := slices.IndexFunc(all, func(r *delegation) bool { return r.covers(name) }); i >= 0 {
		return all[i]
	}
	return nil
}

// isOwnGroup reports whether the delegation called name is to bins of role s.
func (d *delegations) isOwnGroup(s step, name string) bool {
	for _, k := range binKinds {
		if name == k.group(s.name) {
			r := d.role(name)
			return r != nil && d.same(r, s) && slices.Equal(r.Paths, []string{k.pattern})
		}
	}
	return false
}

// A target in a bin that names one platform's manifest says in its custom part
// of which images, so that an image found by it is one target away, and not a
// search through every bin. Roles without bins have no such targets: there the
// search is through one file.
const imagesField = "images"

// platformTargets returns the targets of the platforms of t, an image, by name;
// none if the image is its own platform.
func platformTargets(image ref.Digest, t target) map[string]target {
	all := map[string]target{}
	for _, p := range t.platforms() {
		if p.Manifest == image {
			continue
		}
		all[digestTarget(p.Manifest)] = target{
			Length: p.Size,
			Hashes: hashes{p.Manifest.Algorithm().String(): p.Manifest.Encoded()},
			Custom: map[string]any{imagesField: []any{string(image)}},
		}
	}
	return all
}

// images returns the images that t is a platform of.
func (t target) images() []string {
	var all []string
	list, _ := t.Custom[imagesField].([]any)
	for _, v := range list {
		if s, ok := v.(string); ok {
			all = append(all, s)
		}
	}
	return all
}

// ofImages returns t as a platform of those images.
func (t target) ofImages(all []string) target {
	t.Custom = maps.Clone(t.Custom)
	delete(t.Custom, imagesField)
	if len(all) == 0 {
		return t
	}
	if t.Custom == nil {
		t.Custom = map[string]any{}
	}
	list := make([]any, 0, len(all))
	for _, s := range slices.Compact(slices.Sorted(slices.Values(all))) {
		list = append(list, s)
	}
	t.Custom[imagesField] = list
	return t
}

// parseSize reads a size as custom parts carry it.
func parseSize(v any) int64 {
	n, _ := strconv.ParseInt(fmt.Sprint(v), 10, 64)
	return n
}
