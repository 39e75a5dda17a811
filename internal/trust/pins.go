package trust

import (
	"slices"
	"strings"

	"plimsoll/internal/fault"
)

// Pins are the root keys that a publisher is known by: fingerprints
// ("sha256:<hex>" of the DER SubjectPublicKeyInfo) of which Threshold must have
// signed the root that trust starts from.
type Pins struct {
	Threshold int      `json:"threshold"`
	Keys      []string `json:"keys"`
}

// Check returns an Invalid error unless the pins can be met: distinct
// fingerprints, and no fewer of them than the threshold.
func (p Pins) Check() error {
	for _, f := range p.Keys {
		hex, ok := strings.CutPrefix(f, "sha256:")
		if !ok || len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" {
			return fault.Errorf(fault.Invalid, "%q is not a key's fingerprint (sha256: and 64 hex digits)", f)
		}
	}
	switch n := len(set(p.Keys)); {
	case n < len(p.Keys):
		return fault.Errorf(fault.Invalid, "a root key is pinned twice")
	case p.Threshold < 1 || p.Threshold > n:
		return fault.Errorf(fault.Invalid, "the threshold of pinned root keys is %d, with %d keys", p.Threshold, n)
	}
	return nil
}

// normal returns the pins in the form in which they are compared and stored.
func (p Pins) normal() Pins {
	keys := slices.Clone(p.Keys)
	slices.Sort(keys)
	return Pins{Threshold: p.Threshold, Keys: slices.Compact(keys)}
}

func (p Pins) equal(o Pins) bool {
	return p.Threshold == o.Threshold && slices.Equal(p.normal().Keys, o.normal().Keys)
}

// met reports whether r names, and is signed by, enough of the pinned keys.
func (p Pins) met(r *metadata[*root]) bool {
	pinned, n := set(p.Keys), 0
	for fingerprint := range r.signers(r.Signed.Keys, r.Signed.Roles[RoleRoot]) {
		if pinned[fingerprint] {
			n++
		}
	}
	return p.Threshold > 0 && n >= p.Threshold
}
