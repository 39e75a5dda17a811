package trust

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

// Exposure is what one key could sign, what it did sign, and whom it takes to
// take it away, as far as the metadata tells that is there: all roots, and the
// current metadata of the other roles.
type Exposure struct {
	GUN         ref.GUN
	Fingerprint string
	KeyID       string
	Type        string
	Roles       []ExposedRole
	Signed      []SignedFile
	Needs       []Recovery
}

// ExposedRole is a role that the key speaks for, or did.
type ExposedRole struct {
	Role      string
	Threshold int // of the newest metadata that names the key
	Keys      int
	FirstRoot int64    // the root that first named the key; 0 for delegated roles, of which only the present is known
	LastRoot  int64    // the last one that did; 0 if the key still has the role
	Paths     []string // patterns of a delegated role
}

// Alone reports whether the key needed nobody else to speak for the role.
func (r ExposedRole) Alone() bool { return r.Threshold == 1 }

// SignedFile is a metadata file that carries the key's signature, or what a role
// says for which the key needs nobody else.
type SignedFile struct {
	Role    string
	Version int64
	Expires time.Time
	Names   []SignedName // of targets roles
	Roles   []string     // that it delegates to
	// Since: other keys signed it last, and with it whatever the key may have
	// signed before.
	Since bool
}

// SignedName is a tag or digest that a role names.
type SignedName struct {
	Name   string
	Digest string // "sha256:<hex>", or "" if the role gives none
}

// Recovery is a document that takes the key away, and the fewest who must sign
// it.
type Recovery struct {
	Document string
	Takes    int
	Of       []string // fingerprints of the other keys that can
	WithIt   int      // how many signatures are still missing without the key itself
}

// Exposure returns what the key can and did sign. key is a key ID or a
// fingerprint, or the first eight or more digits of one. NotFound if no role has
// or had such a key, Usage if it fits several, Invalid if it is of a kind that is
// not understood here.
func (t *Trusted) Exposure(ctx context.Context, key string) (*Exposure, error) {
	roots, err := t.chain(ctx)
	if err != nil {
		return nil, err
	}
	k, err := t.findKey(roots, key)
	if err != nil {
		return nil, err
	}
	e := &Exposure{GUN: t.gun, Fingerprint: k.Fingerprint, KeyID: k.ID, Type: k.Type}
	for _, role := range topLevel {
		e.history(roots, role)
	}
	for _, m := range roots {
		if m.signers(m.Signed.Keys, m.Signed.Roles[RoleRoot])[k.Fingerprint] || signedBefore(roots, m, k.Fingerprint) {
			e.Signed = append(e.Signed, SignedFile{Role: RoleRoot, Version: m.Signed.Version, Expires: m.Signed.Expires})
		}
	}
	addSigned(e, RoleSnapshot, t.snapshot, t.root.Signed)
	addSigned(e, RoleTimestamp, t.timestamp, t.root.Signed)
	if err := t.exposeTargets(ctx, e); err != nil {
		return nil, err
	}
	t.recovery(e)
	return e, nil
}

// signedBefore reports whether the key signed m as a key of the root before it.
func signedBefore(roots []*metadata[*root], m *metadata[*root], fingerprint string) bool {
	if m.Signed.Version < 2 {
		return false
	}
	old := roots[m.Signed.Version-2].Signed
	return m.signers(old.Keys, old.Roles[RoleRoot])[fingerprint]
}

// history adds the key's time in a top-level role.
func (e *Exposure) history(roots []*metadata[*root], role string) {
	var r ExposedRole
	newest := roots[len(roots)-1].Signed.Version
	for _, m := range roots {
		k := m.Signed.Roles[role]
		all := k.of(m.Signed.Keys)
		if !hasFingerprint(all, e.Fingerprint) {
			continue
		}
		if r.FirstRoot == 0 {
			r.FirstRoot = m.Signed.Version
		}
		r.Role, r.Threshold, r.Keys, r.LastRoot = role, k.Threshold, len(all), m.Signed.Version
	}
	if r.LastRoot == newest {
		r.LastRoot = 0
	}
	if r.Role != "" {
		e.Roles = append(e.Roles, r)
	}
}

func hasFingerprint(ks []*Key, fingerprint string) bool {
	return slices.ContainsFunc(ks, func(k *Key) bool { return k.Fingerprint == fingerprint })
}

func addSigned[T body](e *Exposure, role string, m *metadata[T], r *root) {
	if m.signers(r.Keys, r.Roles[role])[e.Fingerprint] {
		h := m.Signed.head()
		e.Signed = append(e.Signed, SignedFile{Role: role, Version: h.Version, Expires: h.Expires})
	}
}

// exposeTargets adds the targets roles that the key speaks for, and what they
// say.
func (t *Trusted) exposeTargets(ctx context.Context, e *Exposure) error {
	draft := draftOf(t) // to read with: nothing is changed
	if err := e.addTargets(ctx, draft, t.top(), t.targets); err != nil {
		return err
	}
	d := t.targets.Signed.Delegations
	if d == nil {
		return nil
	}
	for i := range d.Roles {
		role := &d.Roles[i]
		all := role.of(d.Keys)
		if !hasFingerprint(all, e.Fingerprint) || ownerOf(role.Name) != role.Name {
			continue
		}
		e.Roles = append(e.Roles, ExposedRole{Role: role.Name, Threshold: role.Threshold, Keys: len(all), Paths: slices.Clone(role.Paths)})
		m, err := t.role(ctx, role.Name, d.Keys, role.keyRole)
		if fault.Is(err, fault.NotFound) {
			continue
		} else if err != nil {
			return err
		}
		if err := e.addTargets(ctx, draft, step{name: role.Name, keys: d.Keys, need: role.keyRole}, m); err != nil {
			return err
		}
	}
	return nil
}

func (e *Exposure) addTargets(ctx context.Context, d *draft, s step, m *metadata[*targets]) error {
	signed := m.signers(s.keys, s.need)[e.Fingerprint]
	if !signed && (s.need.Threshold > 1 || !hasFingerprint(s.need.of(s.keys), e.Fingerprint)) {
		return nil
	}
	f := SignedFile{Role: s.name, Version: m.Signed.Version, Expires: m.Signed.Expires, Since: !signed}
	all, err := d.all(ctx, s.name)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if all[name].onlyPlatform() {
			continue // it goes with its image
		}
		digest := all[name].Hashes["sha256"]
		if digest != "" {
			digest = "sha256:" + digest
		}
		f.Names = append(f.Names, SignedName{name, digest})
	}
	if d := m.Signed.Delegations; d != nil {
		for i := range d.Roles {
			if !d.isOwnGroup(s, d.Roles[i].Name) {
				f.Roles = append(f.Roles, d.Roles[i].Name)
			}
		}
	}
	e.Signed = append(e.Signed, f)
	return nil
}

// recovery adds what takes the key away: a new root if a top-level role has it,
// new targets if a delegated role has it.
func (t *Trusted) recovery(e *Exposure) {
	r := t.root.Signed
	var top, delegated bool
	for _, role := range e.Roles {
		switch {
		case !isTopLevel(role.Role):
			delegated = true
		case role.LastRoot == 0:
			top = true
		}
	}
	if top {
		e.need(RoleRoot, signedBy{r.Keys, r.Roles[RoleRoot]})
	}
	if delegated {
		e.need(RoleTargets, signedBy{r.Keys, r.Roles[RoleTargets]})
	}
}

func (e *Exposure) need(document string, by signedBy) {
	n := Recovery{Document: document, Takes: by.role.Threshold}
	for _, k := range by.role.of(by.keys) {
		if k.Fingerprint != e.Fingerprint {
			n.Of = append(n.Of, k.Fingerprint)
		}
	}
	n.WithIt = max(0, n.Takes-len(n.Of))
	e.Needs = append(e.Needs, n)
}

const minDigits = 8 // of a key's ID or fingerprint on a command line

// findKey returns the key that text names, of all that the roots and targets
// know.
func (t *Trusted) findKey(roots []*metadata[*root], text string) (*Key, error) {
	digits := strings.ToLower(strings.TrimPrefix(text, "sha256:"))
	if len(digits) < minDigits {
		return nil, fault.Errorf(fault.Usage, "%q is too short for a key: give at least %d digits of its ID or fingerprint", text, minDigits)
	}
	found := map[string]*Key{}
	look := func(ks keys) {
		for id, k := range ks {
			if strings.HasPrefix(k.Fingerprint, "sha256:"+digits) || strings.HasPrefix(id, digits) {
				found[cmp.Or(k.Fingerprint, id)] = k
			}
		}
	}
	for _, m := range roots {
		look(m.Signed.Keys)
	}
	if d := t.targets.Signed.Delegations; d != nil {
		look(d.Keys)
	}
	switch len(found) {
	case 1:
		for k := range maps.Values(found) {
			if k.Public == nil {
				return nil, fault.Errorf(fault.Invalid, "key %q is of a kind that is not understood here (%q, %q): it counts for nothing", k.ID, k.Type, k.Scheme)
			}
			return k, nil
		}
	case 0:
		err := fault.Errorf(fault.NotFound, "no role of %q has, or had, a key %q", t.gun, text)
		return nil, fault.Hint(err, "plimsoll trust status %s shows the keys", t.gun)
	}
	return nil, fault.Errorf(fault.Usage, "%q fits %d keys: give more digits", text, len(found))
}

// FindKey returns the key that text names, as [Trusted.Exposure] does.
func (t *Trusted) FindKey(ctx context.Context, text string) (*Key, error) {
	roots, err := t.chain(ctx)
	if err != nil {
		return nil, err
	}
	return t.findKey(roots, text)
}
