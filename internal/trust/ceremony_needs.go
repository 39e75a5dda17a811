package trust

import (
	"slices"

	"plimsoll/internal/fault"
)

// Need is a number of signatures that one document takes from the holders of
// one role's keys.
type Need struct {
	Role      string // the document
	By        string // whose keys: "root 3", "root 4", "targets" …
	Threshold int
	Keys      []NeedKey
}

// NeedKey is one of the keys that may meet a need.
type NeedKey struct {
	Fingerprint string
	Signed      bool
}

// Missing returns how many signatures are missing.
func (n Need) Missing() int {
	missing := n.Threshold
	for _, k := range n.Keys {
		if k.Signed {
			missing--
		}
	}
	return max(missing, 0)
}

// demand is a need as it is verified.
type demand struct {
	document, by string
	signedBy
}

// demands returns what the documents take, in their order. A new root takes the
// signatures of its own keys and of those of the root before it.
func (c *Ceremony) demands() []demand {
	var all []demand
	for _, role := range c.Documents() {
		switch {
		case role != RoleRoot:
			all = append(all, demand{role, role, c.speakers(role)})
			continue
		case !c.Starts():
			old := c.base().Signed
			all = append(all, demand{role, rootName(old.Version), signedBy{old.Keys, old.Roles[RoleRoot]}})
		}
		all = append(all, demand{role, rootName(c.root.signed.Version), signedBy{c.root.signed.Keys, c.root.signed.Roles[RoleRoot]}})
	}
	return all
}

// speakers returns who signs a targets role, or a bin of one, after the ceremony. The zero value,
// which nobody can meet, if nobody delegates to it.
func (c *Ceremony) speakers(name string) signedBy {
	role := ownerOf(name)
	if role == RoleTargets {
		r := c.newRoot()
		return signedBy{r.Keys, r.Roles[RoleTargets]}
	}
	if top := c.newTop(); top != nil {
		if d := top.Delegations.role(role); d != nil {
			return signedBy{top.Delegations.Keys, d.keyRole}
		}
	}
	return signedBy{}
}

// key returns the key with that fingerprint out of those that are asked, and the
// documents that it is asked for; nil if it is asked for none. A prefix of the
// fingerprint is enough if it is that of one key.
func (c *Ceremony) key(fingerprint string) (k *Key, documents []string) {
	for _, d := range c.demands() {
		for _, one := range d.role.of(d.keys) {
			if !hasPrefix(one.Fingerprint, fingerprint) || (k != nil && k.Fingerprint != one.Fingerprint) {
				continue
			}
			k = one
			if !slices.Contains(documents, d.document) {
				documents = append(documents, d.document)
			}
		}
	}
	return k, documents
}

// Asked returns the documents that the key with that fingerprint is asked to
// sign; Denied if there are none.
func (c *Ceremony) Asked(fingerprint string) ([]string, error) {
	_, documents := c.key(fingerprint)
	if len(documents) == 0 {
		err := fault.Errorf(fault.Denied, "key %s is not asked for in this ceremony", fingerprint)
		return nil, fault.Hint(err, "plimsoll trust ceremony status FILE shows whose keys are")
	}
	return documents, nil
}

// Tally returns what the ceremony needs and what of it the answers bring.
// Invalid or Untrusted, as [Ceremony.Check] says, if one of them is not good, or
// if two are by the same key.
func (c *Ceremony) Tally(answers []*Answer) ([]Need, error) {
	g, err := c.given(answers)
	if err != nil {
		return nil, err
	}
	var all []Need
	for _, d := range c.demands() {
		n := Need{Role: d.document, By: d.by, Threshold: d.role.Threshold}
		for _, k := range d.role.of(d.keys) {
			n.Keys = append(n.Keys, NeedKey{k.Fingerprint, g.by[d.document][k.Fingerprint] != nil})
		}
		all = append(all, n)
	}
	return all, nil
}
