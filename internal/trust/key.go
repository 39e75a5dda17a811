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

// The key types and schemes that are written and read (TUF 1.0.34, 4.2).
const (
	typeECDSA     = "ecdsa"
	typeECDSALong = "ecdsa-sha2-nistp256" // as older writers call it; read only
	schemeECDSA   = "ecdsa-sha2-nistp256"
	typeEd25519   = "ed25519"
	schemeEd25519 = "ed25519"
)

// Key is a public key in TUF's form.
type Key struct {
	ID          string // SHA-256 of the key object's canonical JSON, hex
	Type        string
	Scheme      string
	Fingerprint string // see [key.Fingerprint]; what pins name and thresholds count
	Public      crypto.PublicKey
	Attestation [][]byte // what the key's token proves, for a root that names it; nil if nothing. No part of the key object

	text  string // keyval.public as written
	inner map[string]any
	rest  map[string]any
}

// NewKey returns pub in TUF's form: ecdsa in PEM, or ed25519 in hex.
func NewKey(pub crypto.PublicKey) (*Key, error) {
	k := &Key{Public: pub}
	var err error
	if k.Fingerprint, err = key.Fingerprint(pub); err != nil {
		return nil, err
	}
	switch p := pub.(type) {
	case *ecdsa.PublicKey:
		text, err := key.MarshalPublic(p)
		if err != nil {
			return nil, err
		}
		k.Type, k.Scheme, k.text = typeECDSA, schemeECDSA, string(text)
	case ed25519.PublicKey:
		k.Type, k.Scheme, k.text = typeEd25519, schemeEd25519, hex.EncodeToString(p)
	}
	k.ID, err = k.hash()
	return k, err
}

// decodeKey reads a key object and checks that id is its hash.
func decodeKey(o *object, id string) *Key {
	k := &Key{Type: o.text("keytype"), Scheme: o.text("scheme")}
	value := o.child("keyval")
	k.text = value.text("public")
	k.inner, k.rest = value.rest(), o.rest()
	if *o.err != nil {
		return k
	}
	if err := k.parse(); err != nil {
		o.fail("keyval", err.Error())
		return k
	}
	var err error
	if k.ID, err = k.hash(); err != nil || k.ID != id {
		o.fail("", "the key's ID is not its hash")
	}
	return k
}

// parse sets Public and Fingerprint; the scheme must be the type's own.
func (k *Key) parse() error {
	var err error
	switch {
	case (k.Type == typeECDSA || k.Type == typeECDSALong) && k.Scheme == schemeECDSA:
		k.Public, err = parseP256(k.text)
	case k.Type == typeEd25519 && k.Scheme == schemeEd25519:
		raw, bad := hex.DecodeString(k.text)
		if bad != nil || len(raw) != ed25519.PublicKeySize {
			return fault.Errorf(fault.Invalid, "not an Ed25519 key in hex")
		}
		k.Public = ed25519.PublicKey(raw)
	default:
		return fault.Errorf(fault.Invalid, "key type %q with scheme %q is not supported", k.Type, k.Scheme)
	}
	if err == nil {
		k.Fingerprint, err = key.Fingerprint(k.Public)
	}
	return err
}

func parseP256(text string) (crypto.PublicKey, error) {
	pub, err := key.ParsePublic([]byte(text))
	if err != nil {
		return nil, err
	}
	if _, ok := pub.(*ecdsa.PublicKey); !ok {
		return nil, fault.Errorf(fault.Invalid, "not a key on P-256")
	}
	return pub, nil
}

func (k *Key) encode() map[string]any {
	return withRest(k.rest, map[string]any{
		"keytype": k.Type,
		"scheme":  k.Scheme,
		"keyval":  withRest(k.inner, map[string]any{"public": k.text}),
	})
}

func (k *Key) hash() (string, error) {
	b, err := canonical(k.encode())
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// keys are the keys of a root or of delegations, by ID.
type keys map[string]*Key

const maxKeys = 256

func decodeKeys(o *object) keys {
	all := keys{}
	o.each(maxKeys, func(id string, v any) {
		all[id] = decodeKey(newObject(v, join(o.at, id), o.err), id)
	})
	return all
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

// equal reports whether both are the same keys under the same threshold.
func (r keyRole) equal(o keyRole) bool {
	return r.Threshold == o.Threshold && maps.Equal(set(r.KeyIDs), set(o.KeyIDs))
}

func set(all []string) map[string]bool {
	m := make(map[string]bool, len(all))
	for _, s := range all {
		m[s] = true
	}
	return m
}

// of returns the role's keys out of ks: one for each public key, in the role's
// order; IDs without a key are left out.
func (r keyRole) of(ks keys) []*Key {
	var all []*Key
	seen := map[string]bool{}
	for _, id := range r.KeyIDs {
		if k := ks[id]; k != nil && !seen[k.Fingerprint] {
			seen[k.Fingerprint] = true
			all = append(all, k)
		}
	}
	return slices.Clip(all)
}
