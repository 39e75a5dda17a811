package trust

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

// Key is a public key in TUF's form.
type Key struct {
	ID          string // what its metadata calls it; of keys that we write the SHA-256 of the object's canonical JSON, hex
	Type        string
	Scheme      string
	Fingerprint string           // see [key.Fingerprint]; what pins name and thresholds count; "" if the key is not understood
	Public      crypto.PublicKey // nil if the key is not understood
	Attestation [][]byte         // what the key's token proves, for a root that names it; nil if nothing. No part of the key object

	object map[string]any // the key object as it stands in the metadata
}

// NewKey returns pub in TUF's form: ecdsa in PEM, or ed25519 in hex.
func NewKey(pub crypto.PublicKey) (*Key, error) {
	k := &Key{Public: pub}
	var err error
	if k.Fingerprint, err = key.Fingerprint(pub); err != nil {
		return nil, err
	}
	text := ""
	switch p := pub.(type) {
	case *ecdsa.PublicKey:
		pem, err := key.MarshalPublic(p)
		if err != nil {
			return nil, err
		}
		k.Type, k.Scheme, text = typeECDSA, schemeECDSA, string(pem)
	case ed25519.PublicKey:
		k.Type, k.Scheme, text = typeEd25519, schemeEd25519, hex.EncodeToString(p)
	}
	k.object = map[string]any{"keytype": k.Type, "scheme": k.Scheme, "keyval": map[string]any{"public": text}}
	k.ID, err = k.hash()
	return k, err
}

// decodeKey reads a key object. A key of a type or scheme that is not known here,
// or that is not what its type says, is kept and counts for nothing: others may
// meet the threshold.
func decodeKey(v any, o *object, id string) *Key {
	k := &Key{ID: id, Type: o.text("keytype"), Scheme: o.text("scheme")}
	value := o.child("keyval")
	k.object, _ = v.(map[string]any)
	if id == "" || len(id) > maxKeyID {
		o.fail("", "not a key's ID")
	}
	if *o.err != nil || !value.has("public") {
		return k
	}
	if text, ok := value.left["public"].(string); ok {
		k.parse(text)
	}
	return k
}

func (k *Key) encode() map[string]any { return k.object }

func (k *Key) hash() (string, error) {
	b, err := canonical(k.object)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// keys are the keys of a root or of delegations, by ID.
type keys map[string]*Key

const (
	maxKeys  = 256
	maxKeyID = 512 // bytes
)

func decodeKeys(o *object) keys {
	all := keys{}
	o.each(maxKeys, func(id string, v any) {
		all[id] = decodeKey(v, newObject(v, join(o.at, id), o.err), id)
	})
	return all
}

// named checks that the ID of every key is its hash, as the specification has it
// (4.3).
func (ks keys) named() error {
	for id, k := range ks {
		if hash, err := k.hash(); err != nil || hash != id {
			return fault.Errorf(fault.Untrusted, "the ID of key %q is not its hash", id)
		}
	}
	return nil
}

func (ks keys) encode() map[string]any {
	m := make(map[string]any, len(ks))
	for id, k := range ks {
		m[id] = k.encode()
	}
	return m
}

// keyRole says which keys speak for a role and how many of them it takes.
type keyRole struct {
	KeyIDs    []string
	Threshold int
	rest      map[string]any
}

func newKeyRole(ks []*Key, threshold int) keyRole {
	r := keyRole{Threshold: threshold}
	for _, k := range ks {
		r.KeyIDs = append(r.KeyIDs, k.ID)
	}
	return r
}

func decodeKeyRole(o *object) keyRole {
	return keyRole{
		KeyIDs:    o.texts("keyids", maxKeys),
		Threshold: int(o.integer("threshold", 1, maxKeys)),
	}
}

func (r keyRole) encode() map[string]any {
	ids := r.KeyIDs
	if ids == nil {
		ids = []string{}
	}
	return withRest(r.rest, map[string]any{"keyids": ids, "threshold": r.Threshold})
}

// same reports whether what verifies by r and its keys ks verifies by o and os,
// and the other way round: the same public keys, by the same schemes, under the
// same IDs and the same threshold. IDs alone prove nothing, since they are only
// names; but a signature is looked up by its.
func (r keyRole) same(ks keys, o keyRole, os keys) bool {
	return r.Threshold == o.Threshold && maps.Equal(r.public(ks), o.public(os))
}

// public returns the scheme and fingerprint of each of the role's keys, by ID.
func (r keyRole) public(ks keys) map[string]string {
	all := map[string]string{}
	for _, id := range r.KeyIDs {
		if k := ks[id]; k != nil && k.Public != nil {
			all[id] = k.Scheme + " " + k.Fingerprint
		}
	}
	return all
}

func set(all []string) map[string]bool {
	m := make(map[string]bool, len(all))
	for _, s := range all {
		m[s] = true
	}
	return m
}

// of returns the role's keys out of ks: one for each public key, in the role's
// order; IDs without a key, and keys that are not understood, are left out.
func (r keyRole) of(ks keys) []*Key {
	var all []*Key
	seen := map[string]bool{}
	for _, id := range r.KeyIDs {
		if k := ks[id]; k != nil && k.Public != nil && !seen[k.Fingerprint] {
			seen[k.Fingerprint] = true
			all = append(all, k)
		}
	}
	return slices.Clip(all)
}
