package trust

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

const (
	answerForm = "ceremony-answer/v1"
	shortID    = 16 // hex digits by which a printed answer names its ceremony and key

	// MaxAnswer bounds an answer's file, in bytes.
	MaxAnswer = 256 << 10
)

// Answer is what one holder sends back: the signatures of one key on the
// documents of one ceremony that it is asked for.
type Answer struct {
	ceremony    string // ID, or its beginning if the answer was printed
	fingerprint string // the same of the key's fingerprint
	signatures  []answerSignature
}

type answerSignature struct {
	role string // "" if the answer was printed: the documents stand in their order
	sig  []byte
}

// Key returns the fingerprint of the key that signed; of an answer that was
// printed, its beginning.
func (a *Answer) Key() string { return a.fingerprint }

// Answer signs with signer what it is asked for. Denied if that is nothing.
// Whoever calls it has shown [Ceremony.Words] to a person, who agreed.
func (c *Ceremony) Answer(ctx context.Context, signer key.Signer) (*Answer, error) {
	fingerprint, err := key.Fingerprint(signer.Public())
	if err != nil {
		return nil, err
	}
	documents, err := c.Asked(fingerprint)
	if err != nil {
		return nil, err
	}
	a := &Answer{ceremony: c.ID(), fingerprint: fingerprint}
	for _, role := range documents {
		sig, err := signer.Sign(ctx, c.message(role))
		if err != nil {
			return nil, fmt.Errorf("sign %s with key %s: %w", role, fingerprint, err)
		}
		a.signatures = append(a.signatures, answerSignature{role, sig})
	}
	if err := c.Check(a); err != nil {
		return nil, fault.As(fault.Unavailable, fmt.Errorf("what key %s signed does not verify: %w", fingerprint, err))
	}
	return a, nil
}

// Check returns an Untrusted error unless a is an answer to c by a key that is
// asked, complete and rightly signed.
func (c *Ceremony) Check(a *Answer) error {
	if !hasPrefix(c.ID(), a.ceremony) {
		return fault.Errorf(fault.Untrusted, "the answer of key %s is to another ceremony, or this one was altered", a.fingerprint)
	}
	k, documents := c.key(a.fingerprint)
	if k == nil {
		return fault.Errorf(fault.Untrusted, "the answer is by key %s, which is not asked", a.fingerprint)
	}
	if len(a.signatures) != len(documents) {
		return fault.Errorf(fault.Untrusted, "the answer of key %s has %d signatures, it is asked for %d", a.fingerprint, len(a.signatures), len(documents))
	}
	for i, s := range a.signatures {
		if s.role != "" && s.role != documents[i] {
			return fault.Errorf(fault.Untrusted, "the answer of key %s signs %q, it is asked for %q", a.fingerprint, s.role, documents[i])
		}
		if err := key.Verify(k.Public, c.message(documents[i]), s.sig); err != nil {
			return fault.As(fault.Untrusted, fmt.Errorf("the answer of key %s was altered: %s: %w", a.fingerprint, documents[i], err))
		}
	}
	return nil
}

// given returns the answers' signatures, verified.
func (c *Ceremony) given(answers []*Answer) (*given, error) {
	g := &given{headers: map[string]*header{}, by: map[string]map[string][]byte{}}
	for _, role := range c.Documents() {
		g.by[role] = map[string][]byte{}
		if role == RoleRoot {
			g.headers[role] = c.root.signed.head()
		} else {
			g.headers[role] = c.roles[role].signed.head()
		}
	}
	seen := map[string]bool{}
	for _, a := range answers {
		if err := c.Check(a); err != nil {
			return nil, err
		}
		k, documents := c.key(a.fingerprint)
		if seen[k.Fingerprint] {
			return nil, fault.Hint(fault.Errorf(fault.Invalid, "two answers are by key %s", k.Fingerprint), "each key counts once: give one of them")
		}
		seen[k.Fingerprint] = true
		for i, role := range documents {
			g.by[role][k.Fingerprint] = a.signatures[i].sig
		}
	}
	return g, nil
}

// hasPrefix reports whether short is the whole or the beginning of long that a
// printed answer carries.
func hasPrefix(long, short string) bool {
	digits := len(strings.TrimPrefix(short, "sha256:"))
	return digits >= shortID && strings.HasPrefix(long, short)
}

// Marshal returns the answer as a file. It must be one that [Ceremony.Answer] or
// a file brought, not a printed one.
func (a *Answer) Marshal() ([]byte, error) {
	all := map[string]any{}
	for _, s := range a.signatures {
		all[s.role] = hex.EncodeToString(s.sig)
	}
	return encodeJSON(map[string]any{"plimsoll": answerForm, "ceremony": a.ceremony, "key": a.fingerprint, "signatures": all})
}

// ParseAnswer reads an answer: a file, or what [Ceremony.Print] or
// [Ceremony.Code] printed and somebody typed or photographed. Invalid if it is
// neither, or a check sum says that it was read wrongly.
func ParseAnswer(b []byte) (*Answer, error) {
	if len(b) > MaxAnswer {
		return nil, fault.Errorf(fault.Invalid, "answer: longer than %d bytes", MaxAnswer)
	}
	parse := parsePrinted
	if b = bytes.TrimSpace(b); len(b) > 0 && b[0] == '{' {
		parse = parseAnswerFile
	}
	a, err := parse(b)
	if err != nil {
		return nil, fault.As(fault.Invalid, fmt.Errorf("answer: %w", err))
	}
	return a, nil
}

func parseAnswerFile(b []byte) (*Answer, error) {
	v, err := parseJSON(b)
	if err != nil {
		return nil, err
	}
	o := newObject(v, "", &err)
	if form := o.text("plimsoll"); err == nil && form != answerForm {
		return nil, fault.Errorf(fault.Invalid, "the file is %q, not %q", form, answerForm)
	}
	a := &Answer{ceremony: o.text("ceremony"), fingerprint: o.text("key")}
	signed := map[string][]byte{}
	list := o.child("signatures")
	list.each(maxDocuments, func(role string, v any) {
		text, ok := v.(string)
		sig, bad := hex.DecodeString(text)
		if !ok || bad != nil {
			list.fail(role, "not a signature in hex")
		}
		signed[role] = sig
	})
	if err == nil && len(o.rest()) > 0 {
		err = fault.Errorf(fault.Invalid, "unknown fields %q", slices.Sorted(maps.Keys(o.rest())))
	}
	if err == nil && (!isHex(a.ceremony) || !isHex(strings.TrimPrefix(a.fingerprint, "sha256:"))) {
		err = fault.Errorf(fault.Invalid, "ceremony or key is not named by a digest")
	}
	for _, role := range inOrder(signed) {
		a.signatures = append(a.signatures, answerSignature{role, signed[role]})
	}
	return a, err
}

// inOrder returns the roles in the order of [Ceremony.Documents].
func inOrder(roles map[string][]byte) []string {
	rank := func(role string) int {
		if i := slices.Index([]string{RoleRoot, RoleTargets}, role); i >= 0 {
			return i
		}
		return 2
	}
	return slices.SortedFunc(maps.Keys(roles), func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}

func isHex(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32
}
