//go:build cgo

package pkcs11

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/miekg/pkcs11"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

// What PKCS#11 3.0 adds and the binding of 2.40 lacks.
const (
	ckkEdwards       = 0x40
	ckmEdwardsKeyGen = 0x1055
	ckmEdDSA         = 0x1057
)

const maxObjects = 1000 // objects of one kind looked at in a token

// object is a key object in a token. Its methods that take a session enter the
// module and are called within [session.call].
type object struct {
	handle pkcs11.ObjectHandle
	label  string
	id     []byte
}

// find returns the objects of a class that have u's label and ID.
func (s *session) find(class uint, u uri) ([]object, error) {
	template := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, class)}
	if label, ok := u.path["object"]; ok {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_LABEL, label))
	}
	if id, ok := u.path["id"]; ok {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_ID, []byte(id)))
	}
	handles, err := s.search(template)
	if err != nil {
		return nil, err
	}
	all := make([]object, len(handles))
	for i, h := range handles {
		all[i] = object{handle: h, label: strings.TrimRight(string(s.attribute(h, pkcs11.CKA_LABEL)), "\x00"), id: s.attribute(h, pkcs11.CKA_ID)}
	}
	return all, nil
}

func (s *session) search(template []*pkcs11.Attribute) (all []pkcs11.ObjectHandle, err error) {
	if err := s.ctx().FindObjectsInit(s.handle, template); err != nil {
		return nil, err
	}
	defer func() {
		if final := s.ctx().FindObjectsFinal(s.handle); err == nil {
			err = final
		}
	}()
	for {
		some, _, err := s.ctx().FindObjects(s.handle, 100)
		if err != nil || len(some) == 0 {
			return all, err
		}
		if all = append(all, some...); len(all) > maxObjects {
			return nil, fmt.Errorf("more than %d keys", maxObjects)
		}
	}
}

// attribute returns a value, or nil if the token does not give it.
func (s *session) attribute(h pkcs11.ObjectHandle, kind uint) []byte {
	a, err := s.ctx().GetAttributeValue(s.handle, h, []*pkcs11.Attribute{pkcs11.NewAttribute(kind, nil)})
	if err != nil || len(a) != 1 {
		return nil
	}
	return a[0].Value
}

// is reports whether the token says that a CK_BBOOL attribute has the value
// want; an attribute that it does not give has neither.
func (s *session) is(h pkcs11.ObjectHandle, kind uint, want bool) bool {
	v := s.attribute(h, kind)
	return len(v) == 1 && (v[0] != 0) == want
}

// extractable returns what the token says of a private key, or nil.
func (s *session) extractable(h pkcs11.ObjectHandle) *bool {
	switch {
	case s.is(h, pkcs11.CKA_EXTRACTABLE, false) && s.is(h, pkcs11.CKA_SENSITIVE, true):
		return new(false)
	case len(s.attribute(h, pkcs11.CKA_EXTRACTABLE)) == 1:
		return new(true)
	}
	return nil
}

// public returns the public key of a key object, which is the private or the
// public half: from itself, its other half, or its certificate.
func (s *session) public(o object) (crypto.PublicKey, error) {
	if point := s.attribute(o.handle, pkcs11.CKA_EC_POINT); len(point) > 0 {
		return parsePoint(s.attribute(o.handle, pkcs11.CKA_EC_PARAMS), point)
	}
	if len(o.id) == 0 {
		return nil, fault.Errorf(fault.Invalid, "no ID, so that its public key cannot be found")
	}
	var found crypto.PublicKey
	for _, class := range []uint{pkcs11.CKO_PUBLIC_KEY, pkcs11.CKO_CERTIFICATE} {
		halves, err := s.find(class, uri{path: map[string]string{"id": string(o.id)}})
		if err != nil {
			return nil, err
		}
		for _, half := range halves {
			pub, err := s.half(class, half)
			if err != nil {
				return nil, err
			}
			if e, ok := found.(interface{ Equal(crypto.PublicKey) bool }); ok && !e.Equal(pub) {
				return nil, fault.Errorf(fault.Invalid, "two public keys of the same ID")
			}
			found = pub
		}
		if found != nil {
			return found, nil
		}
	}
	return nil, fault.Errorf(fault.Invalid, "no public key or certificate of the same ID beside it")
}

func (s *session) half(class uint, o object) (crypto.PublicKey, error) {
	if class == pkcs11.CKO_PUBLIC_KEY {
		return parsePoint(s.attribute(o.handle, pkcs11.CKA_EC_PARAMS), s.attribute(o.handle, pkcs11.CKA_EC_POINT))
	}
	cert, err := x509.ParseCertificate(s.attribute(o.handle, pkcs11.CKA_VALUE))
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "a certificate that is malformed: %w", err)
	}
	if _, err := key.AlgorithmOf(cert.PublicKey); err != nil {
		return nil, err
	}
	return cert.PublicKey, nil
}

// uri returns a URI that means o and t alone, with what u says of module and PIN.
func (t token) uri(o object, u uri) string {
	v := uri{path: map[string]string{"type": "private"}, query: u.query}
	for name, value := range map[string]string{"token": t.info.Label, "serial": t.info.SerialNumber, "object": o.label, "id": string(o.id)} {
		if value != "" && (name == "id" || utf8.ValidString(value) && !strings.ContainsRune(value, 0)) {
			v.path[name] = value
		}
	}
	return v.String()
}

// uris returns the URIs of objects, for a message.
func (t token) uris(objects []object, u uri) string {
	const most = 8
	var all []string
	for _, o := range objects[:min(len(objects), most)] {
		all = append(all, t.uri(o, u))
	}
	if len(objects) > most {
		all = append(all, fmt.Sprintf("and %d more", len(objects)-most))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}
