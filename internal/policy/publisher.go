package policy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"plimsoll/internal/ref"
)

var fingerprint = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Publisher returns whoever speaks for the repository that r names, with the
// repository's GUN after mirrors; the name is "" if nobody does.
//
// Where the patterns of two publishers cover one repository, one pattern lies
// wholly within the other (Parse refuses everything else) and the narrower one
// counts, so that a part of a registry can be handed to somebody else.
func (d *Document) Publisher(r ref.Reference) (name string, p *Publisher, gun ref.GUN) {
	all := ref.Mirrors{}
	for _, p := range d.Publishers {
		maps.Copy(all, p.Mirrors)
	}
	gun = all.GUN(r)
	var narrowest []string
	for _, candidate := range slices.Sorted(maps.Keys(d.Publishers)) {
		for _, pattern := range d.Publishers[candidate].Repositories {
			if e := elements(pattern); pattern.Match(gun) && (narrowest == nil || covers(narrowest, e)) {
				name, p, narrowest = candidate, d.Publishers[candidate], e
			}
		}
	}
	return name, p, gun
}

func (d *decoder) checkPublisher(path string, p *Publisher) {
	if len(p.Repositories) == 0 {
		d.fail(join(path, "repositories"), "name what this publisher speaks for")
	}
	for i, pattern := range p.Repositories {
		d.checkPattern(fmt.Sprintf("%s.repositories[%d]", path, i), pattern)
	}
	for from, to := range p.Mirrors {
		d.checkMirror(path, p, from, to)
	}
	if len(p.Accept) > 0 {
		d.checkAccept(join(path, "accept"), p)
		return
	}
	d.checkRootKeys(join(path, "rootKeys"), p.RootKeys)
	d.checkHardware(join(path, "hardware"), p.Hardware)
}

// checkMirror demands one wildcard of the same kind on either side, at the end:
// what it stands for is carried over.
func (d *decoder) checkMirror(path string, p *Publisher, from, to ref.Pattern) {
	field := join(join(path, "mirrors"), string(from))
	d.checkPattern(field, from)
	d.checkPattern(field, to)
	prefix, wildcard := splitWildcard(from)
	toPrefix, toWildcard := splitWildcard(to)
	if strings.Contains(prefix+toPrefix, "*") || wildcard != toWildcard {
		d.fail(field, "both sides end in the same wildcard, * or **, or have none at all")
		return
	}
	for _, own := range p.Repositories {
		if covers(elements(own), elements(to)) {
			return
		}
	}
	d.fail(field, "%q is not covered by this publisher's repositories", to)
}

// splitWildcard returns p without a wildcard at its end, and that wildcard.
func splitWildcard(p ref.Pattern) (prefix, wildcard string) {
	e := elements(p)
	last := e[len(e)-1]
	if last != "*" && last != "**" {
		return string(p), ""
	}
	return strings.Join(e[:len(e)-1], "/"), last
}

func (d *decoder) checkRootKeys(path string, k RootKeys) {
	if len(k.Keys) == 0 {
		d.fail(path, "name the keys that a root must be signed with (plimsoll trust pin GUN shows those of a root)")
		return
	}
	for i, key := range k.Keys {
		field := fmt.Sprintf("%s.keys[%d]", path, i)
		if !fingerprint.MatchString(key) {
			d.fail(field, "%q is not sha256: and 64 lower-case hex digits", key)
		}
		if slices.Index(k.Keys, key) != i {
			d.fail(field, "stands twice: a threshold counts different keys")
		}
	}
	if k.Threshold < 1 || k.Threshold > len(k.Keys) {
		d.fail(join(path, "threshold"), "must be between 1 and the number of keys, %d", len(k.Keys))
	}
}

// checkOverlaps demands that of any two patterns of different publishers that
// match a common name one covers the other, and that no name that is pulled is
// a mirror for two, or a mirror for one and another's own.
func (d *decoder) checkOverlaps(publishers map[string]*Publisher) {
	type owned struct {
		path    string
		owner   string
		pattern ref.Pattern
	}
	var patterns, mirrors []owned
	for _, name := range slices.Sorted(maps.Keys(publishers)) {
		path := join("publishers", name)
		for i, p := range publishers[name].Repositories {
			patterns = append(patterns, owned{fmt.Sprintf("%s.repositories[%d]", path, i), name, p})
		}
		for p := range publishers[name].Mirrors {
			mirrors = append(mirrors, owned{join(path+".mirrors", string(p)), name, p})
		}
	}
	if len(patterns) > maxPatterns || len(mirrors) > maxPatterns {
		d.fail("publishers", "more than %d patterns", maxPatterns)
		return
	}
	for i, a := range patterns {
		for _, b := range patterns[:i] {
			x, y := elements(a.pattern), elements(b.pattern)
			if a.owner != b.owner && overlap(x, y) && covers(x, y) == covers(y, x) {
				d.fail(a.path, "%q and %q of publisher %q match the same repositories and neither lies within the other, so nobody could say whose keys count", a.pattern, b.pattern, b.owner)
			}
		}
	}
	for i, a := range mirrors {
		for _, b := range patterns {
			if a.owner != b.owner && overlap(elements(a.pattern), elements(b.pattern)) {
				d.fail(a.path, "publisher %q speaks for such names itself (%q), so they cannot be another's mirror", b.owner, b.pattern)
			}
		}
		for _, b := range mirrors[:i] {
			if a.owner != b.owner && overlap(elements(a.pattern), elements(b.pattern)) {
				d.fail(a.path, "publisher %q has a mirror of the same names", b.owner)
			}
		}
	}
}

// maxPatterns bounds the patterns of a document: each is compared with each.
const maxPatterns = 500
