package trust

import (
	"maps"
	"slices"
)

// Holder is what a [Keyring] may also be: one that knows which keys it holds
// without opening them.
type Holder interface {
	Held(k *Key) bool
}

// Asked says how many signatures a key will be asked for.
type Asked struct {
	Key        *Key
	Signatures int
}

// plan returns which keys will be asked to sign what d changes, and how often, in
// the order of their first signatures. A key that then cannot be opened is stood
// in for by another one. What people signed in a ceremony is not asked for again.
func (s *signing) plan(d *draft) []Asked {
	var p plan
	p.holds = func(*Key) bool { return true }
	if h, ok := s.keys.(Holder); ok {
		p.holds = h.Held
	}
	if d.newRoot && s.given.header(RoleRoot) == nil {
		p.file(d.rootBy()...)
	}
	for _, name := range slices.Sorted(maps.Keys(d.signed)) {
		if by, err := d.speaks(ownerOf(name)); err == nil && s.given.header(name) == nil {
			p.file(signedBy{by.keys, by.need})
		}
	}
	for _, role := range []string{RoleSnapshot, RoleTimestamp} {
		p.file(signedBy{d.root.Keys, d.root.Roles[role]})
	}
	return p.asked
}

type plan struct {
	holds func(*Key) bool
	asked []Asked
}

// file counts the signatures of one file, as [signing.sign] makes them.
func (p *plan) file(by ...signedBy) {
	done := map[string]bool{}
	for _, need := range by {
		held := need.role.of(need.keys)
		left := need.role.Threshold
		for _, k := range held {
			if done[k.Fingerprint] {
				left--
			}
		}
		for _, k := range held {
			if left > 0 && !done[k.Fingerprint] && p.holds(k) {
				done[k.Fingerprint] = true
				p.count(k)
				left--
			}
		}
	}
}

func (p *plan) count(k *Key) {
	for i := range p.asked {
		if p.asked[i].Key.Fingerprint == k.Fingerprint {
			p.asked[i].Signatures++
			return
		}
	}
	p.asked = append(p.asked, Asked{k, 1})
}
