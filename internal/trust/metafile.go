package trust

import (
	"encoding/hex"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

const maxSignatures = 256

// body is the signed part of a metadata file.
type body interface {
	head() *header
	encode() map[string]any
}

// signature is one signature in a metadata file.
type signature struct {
	KeyID string
	Sig   []byte
}

// metadata is one metadata file: the signed part, the bytes that the signatures
// are over, and the file itself.
type metadata[T body] struct {
	Signed     T
	Signatures []signature
	signed     []byte // canonical form of the signed part
	file       []byte
}

// parse reads a metadata file; decode is that of its role. Nothing is verified.
func parse[T body](file []byte, decode func(*object) T) (*metadata[T], error) {
	v, err := parseJSON(file)
	if err != nil {
		return nil, fault.As(fault.Untrusted, err)
	}
	m := &metadata[T]{file: file}
	o := newObject(v, "", &err)
	signed := take[map[string]any](o, "signed")
	if err == nil {
		m.Signed = decode(newObject(any(signed), "signed", &err))
	}
	m.Signatures = decodeSignatures(o)
	if err != nil {
		return nil, fault.As(fault.Untrusted, err)
	}
	if m.signed, err = canonical(signed); err != nil {
		return nil, fault.As(fault.Untrusted, err)
	}
	return m, nil
}

// decodeSignatures refuses two signatures under one key ID (4.2).
func decodeSignatures(o *object) []signature {
	var all []signature
	seen := map[string]bool{}
	for _, v := range o.list("signatures", maxSignatures) {
		s := decodeSignature(newObject(v, "signatures", o.err))
		if seen[s.KeyID] {
			o.fail("signatures", "a key ID occurs twice")
		}
		seen[s.KeyID] = true
		all = append(all, s)
	}
	return all
}

// decodeSignature reads a signature. What is not hex is the signature of a scheme
// that is not known here, or of nobody: it counts for nothing.
func decodeSignature(o *object) signature {
	s := signature{KeyID: o.text("keyid")}
	if sig, err := hex.DecodeString(o.text("sig")); err == nil {
		s.Sig = sig
	}
	return s
}

// signers returns the fingerprints of those of the role's keys whose signature
// is valid. Each public key counts once, whatever IDs it has and however often
// it signed.
func (m *metadata[T]) signers(ks keys, r keyRole) map[string]bool {
	listed := set(r.KeyIDs)
	valid := map[string]bool{}
	for _, s := range m.Signatures {
		k := ks[s.KeyID]
		if k == nil || !listed[s.KeyID] || valid[k.Fingerprint] {
			continue
		}
		if k.verify(m.signed, s.Sig) {
			valid[k.Fingerprint] = true
		}
	}
	return valid
}

// verify checks that enough of the role's keys signed.
func (m *metadata[T]) verify(ks keys, r keyRole) error {
	if n := len(m.signers(ks, r)); n < r.Threshold {
		return fault.Errorf(fault.Untrusted, "%d of its keys signed, it takes %d", n, r.Threshold)
	}
	return nil
}

// checkGUN checks that the signed part speaks for gun.
func checkGUN(h *header, gun ref.GUN) error {
	switch h.GUN {
	case gun:
		return nil
	case "":
		return fault.Errorf(fault.Untrusted, "no repository is named in the field %q", gunField)
	}
	return fault.Errorf(fault.Untrusted, "it speaks for another repository, %q", h.GUN)
}
