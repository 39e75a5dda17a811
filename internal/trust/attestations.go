package trust

import (
	"bytes"
	"encoding/base64"
	"maps"
	"slices"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

// attestationsField is the signed field of a root that says what tokens prove
// about its keys: key ID → certificates in base64 of their DER, as
// [key.Attester] returns them. It stands beside the keys and not in them: a
// key's ID is the hash of its object.
const attestationsField = "x-plimsoll-attestations"

// maxClaims bounds the certificates that one key may claim.
const maxClaims = 8

// attestation returns the certificates that the root holds for the key of that
// ID, nil if it holds none. Untrusted if they are malformed: the key is then
// unattested, and the root no worse for it.
func (r *root) attestation(id string) ([][]byte, error) {
	claims, ok := r.rest[attestationsField].(map[string]any)
	if !ok && r.rest[attestationsField] != nil {
		return nil, fault.Errorf(fault.Untrusted, "field %q is not an object", attestationsField)
	}
	claim, ok := claims[id]
	if !ok {
		return nil, nil
	}
	list, _ := claim.([]any)
	if len(list) == 0 || len(list) > maxClaims {
		return nil, fault.Errorf(fault.Untrusted, "the attestation of key %q is not a list of 1 to %d certificates", id, maxClaims)
	}
	var chain [][]byte
	for _, v := range list {
		text, _ := v.(string)
		der, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil || len(der) == 0 {
			return nil, fault.Errorf(fault.Untrusted, "the attestation of key %q is not base64", id)
		}
		chain = append(chain, der)
	}
	return chain, nil
}

// attest writes down what the tokens of ks prove, and forgets what was written
// of keys that r no longer has.
func (r *root) attest(ks ...*Key) {
	claims := map[string]any{}
	if old, ok := r.rest[attestationsField].(map[string]any); ok {
		maps.Copy(claims, old)
	}
	for _, k := range ks {
		delete(claims, k.ID)
		if len(k.Attestation) == 0 {
			continue
		}
		list := make([]any, 0, len(k.Attestation))
		for _, der := range k.Attestation {
			list = append(list, base64.StdEncoding.EncodeToString(der))
		}
		claims[k.ID] = list
	}
	maps.DeleteFunc(claims, func(id string, _ any) bool { return r.Keys[id] == nil })
	r.rest = maps.Clone(r.rest)
	if r.rest == nil {
		r.rest = map[string]any{}
	}
	delete(r.rest, attestationsField)
	if len(claims) > 0 {
		r.rest[attestationsField] = claims
	}
}

// honest refuses a root that claims of a key what its token does not prove, or
// what nobody known vouches for: whoever signs it would vouch for it.
func (r *root) honest(roots key.AttestationRoots) error {
	claims, ok := r.rest[attestationsField].(map[string]any)
	if !ok && r.rest[attestationsField] != nil {
		return fault.Errorf(fault.Untrusted, "the root's field %q is not an object", attestationsField)
	}
	for _, id := range slices.Sorted(maps.Keys(claims)) {
		k := r.Keys[id]
		if k == nil {
			return fault.Errorf(fault.Untrusted, "the root claims an attestation of key %q, which it does not have", id)
		}
		chain, err := r.attestation(id)
		if err == nil {
			_, err = key.VerifyAttestation(k.Public, chain, roots)
		}
		if err != nil {
			err = fault.Errorf(fault.Untrusted, "the root claims falsely that key %s is attested: %w", k.Fingerprint, err)
			return fault.Hint(err, "rotate the key away; or, if its maker is to be believed, configure the maker's roots (attestationRoots)")
		}
	}
	return nil
}

// attestations returns what the root claims of its keys, by fingerprint. Keys of
// which nothing is claimed are left out, and so are those that are not understood:
// they have no fingerprint. A claim that cannot be read is an empty chain, which
// nobody vouches for; so are two claims that differ, made of one key under two IDs.
func (r *root) attestations() map[string][][]byte {
	all := map[string][][]byte{}
	for _, k := range r.Keys {
		if k.Public == nil {
			continue
		}
		chain, err := r.attestation(k.ID)
		if err == nil && chain == nil {
			continue
		}
		other, twice := all[k.Fingerprint]
		if err != nil || twice && !slices.EqualFunc(other, chain, bytes.Equal) {
			chain = [][]byte{}
		}
		all[k.Fingerprint] = chain
	}
	return all
}
