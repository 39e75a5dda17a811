package trust

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// Ceremony is a change of a trust collection that several people sign, each on a
// machine of their own, none of which is online. It is a proposal: the exact
// bytes to be signed of a root, of targets roles, or of both, together with all
// that a machine without a network needs to verify what they follow. Nothing in
// it is believed that its own bytes do not prove; a [Ceremony] that
// [ParseCeremony] returned has been verified.
//
// Each holder's signatures come back as an [Answer]. When there are enough,
// [Repository.Finish] publishes.
type Ceremony struct {
	gun     ref.GUN
	until   time.Time
	roots   []*metadata[*root]             // the chain from root 1 to the current one; none for a new collection
	current map[string]*metadata[*targets] // what the proposed roles follow, and "targets", which delegates
	root    *proposal[*root]               // nil if the root stays
	roles   map[string]*proposal[*targets] // by role
	value   map[string]any                 // all of it but the words, as JSON
}

// proposal is what is to be signed of one role.
type proposal[T body] struct {
	signed  T
	message []byte // the canonical form
}

// GUN returns the repository that the ceremony is about.
func (c *Ceremony) GUN() ref.GUN { return c.gun }

// Until returns the end of the ceremony: after it nobody signs and nothing is
// published.
func (c *Ceremony) Until() time.Time { return c.until }

// ID returns the SHA-256 of the ceremony, in hex: of all of it but the words,
// which follow from the rest.
func (c *Ceremony) ID() string {
	sum := c.sum()
	return hex.EncodeToString(sum[:])
}

// Fingerprint returns the ceremony's ID in a form that people read out to each
// other: 125 bits of it as five groups of five letters and digits.
func (c *Ceremony) Fingerprint() string {
	sum := c.sum()
	text := crockford.EncodeToString(sum[:])
	return strings.Join([]string{text[:5], text[5:10], text[10:15], text[15:20], text[20:25]}, "-")
}

func (c *Ceremony) sum() [sha256.Size]byte {
	b, err := canonical(c.value)
	if err != nil { // it was parsed from JSON, which has a canonical form
		return [sha256.Size]byte{}
	}
	return sha256.Sum256(append([]byte("plimsoll "+ceremonyForm+"\n"), b...))
}

// SameFingerprint reports whether typed is the ceremony's fingerprint: in upper
// or lower case, with or without dashes and spaces.
func (c *Ceremony) SameFingerprint(typed string) bool {
	plain := strings.NewReplacer("-", "", " ", "")
	return plainLetters.Replace(strings.ToUpper(plain.Replace(typed))) == plain.Replace(c.Fingerprint())
}

// Open returns a Denied error if the ceremony has ended at now.
func (c *Ceremony) Open(now time.Time) error {
	if now.Before(c.until) {
		return nil
	}
	err := fault.Errorf(fault.Denied, "the ceremony ended at %s", c.until.Format(timeForm))
	return fault.Hint(err, "whoever began it begins a new one: plimsoll trust ceremony begin %s FILE", c.gun)
}

// RootPins returns the pins that the root meets after the ceremony.
func (c *Ceremony) RootPins() Pins { return c.newRoot().pins() }

// Starts reports whether the ceremony starts a collection.
func (c *Ceremony) Starts() bool { return len(c.roots) == 0 }

// Meets returns an Untrusted error unless p names the keys of a root on which
// the ceremony rests. A ceremony that starts a collection rests on none.
func (c *Ceremony) Meets(p Pins) error {
	if slices.ContainsFunc(c.roots, p.met) {
		return nil
	}
	if c.Starts() {
		return nil
	}
	err := fault.Errorf(fault.Untrusted, "the ceremony's chain of roots does not begin with the keys that are pinned here for %q", c.gun)
	return fault.Hint(err, "do not sign; ask the other holders what they were given")
}

// base returns the root that the ceremony stands on, or nil.
func (c *Ceremony) base() *metadata[*root] {
	if c.Starts() {
		return nil
	}
	return c.roots[len(c.roots)-1]
}

// newRoot returns the root as it is after the ceremony.
func (c *Ceremony) newRoot() *root {
	if c.root != nil {
		return c.root.signed
	}
	return c.base().Signed
}

// newTop returns the top-level targets after the ceremony; nil if the ceremony
// starts a collection and does not say.
func (c *Ceremony) newTop() *targets {
	if p := c.roles[RoleTargets]; p != nil {
		return p.signed
	}
	if m := c.current[RoleTargets]; m != nil {
		return m.Signed
	}
	return nil
}

// Documents returns the roles whose metadata is to be signed: root first, then
// targets, then delegated roles by name. Answers keep this order.
func (c *Ceremony) Documents() []string {
	var all []string
	if c.root != nil {
		all = append(all, RoleRoot)
	}
	if c.roles[RoleTargets] != nil {
		all = append(all, RoleTargets)
	}
	for _, role := range slices.Sorted(maps.Keys(c.roles)) {
		if role != RoleTargets {
			all = append(all, role)
		}
	}
	return all
}

// message returns the bytes to be signed of a role, or nil.
func (c *Ceremony) message(role string) []byte {
	if role == RoleRoot && c.root != nil {
		return c.root.message
	}
	if p := c.roles[role]; p != nil {
		return p.message
	}
	return nil
}
