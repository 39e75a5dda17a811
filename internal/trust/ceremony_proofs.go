package trust

import "plimsoll/internal/key"

// proven returns ks with what the root already says that their tokens prove: a
// key that is named by its fingerprint, or by its public half, loses nothing.
func (d *draft) proven(ks []*Key) []*Key {
	var all []*Key
	for _, k := range ks {
		if chain, err := d.root.attestation(k.ID); k.Attestation == nil && err == nil && chain != nil {
			same := *k
			same.Attestation = chain
			k = &same
		}
		all = append(all, k)
	}
	return all
}

// Honest returns an Untrusted error if the proposed root claims of a key what its
// token does not prove, or what no maker in roots vouches for.
func (c *Ceremony) Honest(roots key.AttestationRoots) error {
	if c.root == nil {
		return nil
	}
	return c.root.signed.honest(roots)
}

// Claims returns what the root claims, after the ceremony, that the tokens of its
// keys prove, by fingerprint: for [key.VerifyAttestationOf].
func (c *Ceremony) Claims() map[string][][]byte { return c.newRoot().attestations() }
