package trust

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
)

const (
	ceremonyForm = "ceremony/v1"
	maxChain     = 1024 // roots in a ceremony
	maxDocuments = 64   // targets roles in a ceremony

	// MaxCeremony bounds a ceremony's file, in bytes.
	MaxCeremony = 16 << 20
)

// ceremonyFile is the order in which a ceremony is written: for people first.
type ceremonyFile struct {
	Plimsoll any      `json:"plimsoll"`
	GUN      any      `json:"gun"`
	Until    any      `json:"until"`
	Words    []string `json:"words"`
	Proposed any      `json:"proposed"` // role → signed part
	Current  any      `json:"current"`  // role → metadata file
	Roots    any      `json:"roots"`    // metadata files, oldest first
}

// Marshal returns the ceremony's file.
func (c *Ceremony) Marshal() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	v := c.value
	if err := enc.Encode(ceremonyFile{v["plimsoll"], v["gun"], v["until"], c.Words(), v["proposed"], v["current"], v["roots"]}); err != nil {
		return nil, fmt.Errorf("encode ceremony: %w", err)
	}
	if b.Len() > MaxCeremony {
		return nil, fault.Errorf(fault.Invalid, "the ceremony's file would be longer than %d bytes: the roles in it name too much", MaxCeremony)
	}
	return b.Bytes(), nil
}

// newCeremony returns the ceremony of the proposals after it has verified them
// as [ParseCeremony] does.
func newCeremony(gun ref.GUN, until time.Time, all documents, roots []*metadata[*root]) (*Ceremony, error) {
	v := map[string]any{"plimsoll": ceremonyForm, "gun": string(gun), "until": until.UTC().Format(timeForm)}
	signed, files, chain := map[string]any{}, map[string]any{}, make([]any, 0, len(roots))
	for role, b := range all.proposed {
		signed[role] = b.encode()
	}
	for role, m := range all.current {
		file, err := parseJSON(m.file)
		if err != nil {
			return nil, wrap(role, err)
		}
		files[role] = file
	}
	for _, m := range roots {
		file, err := parseJSON(m.file)
		if err != nil {
			return nil, wrap(RoleRoot, err)
		}
		chain = append(chain, file)
	}
	v["proposed"], v["current"], v["roots"] = signed, files, chain
	b, err := encodeJSON(v)
	if err != nil {
		return nil, err
	}
	return parseCeremony(b, false)
}

// ParseCeremony reads a ceremony's file and verifies it: the chain of roots, the
// metadata that the proposals follow, and that the proposals follow it. Invalid
// or Untrusted if it was altered, or its words are not those that follow from
// the bytes to be signed. Nobody vouches yet for the chain's first root: see
// [Ceremony.Meets].
func ParseCeremony(b []byte) (*Ceremony, error) { return parseCeremony(b, true) }

func parseCeremony(b []byte, words bool) (*Ceremony, error) {
	c, err := decodeCeremony(b, words)
	if err != nil {
		return nil, fmt.Errorf("ceremony: %w", err)
	}
	return c, nil
}

func decodeCeremony(b []byte, words bool) (*Ceremony, error) {
	if len(b) > MaxCeremony {
		return nil, fault.Errorf(fault.Invalid, "longer than %d bytes", MaxCeremony)
	}
	v, err := parseJSON(b)
	if err != nil {
		return nil, err
	}
	o := newObject(v, "", &err)
	c := &Ceremony{current: map[string]*metadata[*targets]{}, roles: map[string]*proposal[*targets]{}}
	if form := o.text("plimsoll"); err == nil && form != ceremonyForm {
		return nil, fault.Errorf(fault.Invalid, "the file is %q, not %q", form, ceremonyForm)
	}
	c.gun = ref.GUN(o.text("gun"))
	c.until = decodeTime(o, "until")
	var said []string
	if words {
		said = o.texts("words", maxEntries)
	}
	c.decodeProposed(o.child("proposed"))
	c.decodeCurrent(o.child("current"), &err)
	c.decodeRoots(o.list("roots", maxChain), &err)
	if err == nil && len(o.rest()) > 0 {
		return nil, fault.Errorf(fault.Invalid, "unknown fields %q", slices.Sorted(maps.Keys(o.rest())))
	}
	if err != nil {
		return nil, err
	}
	if c.value, _ = v.(map[string]any); c.value != nil {
		delete(c.value, "words")
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	if words && !slices.Equal(said, c.Words()) {
		err := fault.Errorf(fault.Invalid, "its words are not those of what is to be signed: it was altered, or another version of plimsoll wrote it")
		return nil, fault.Hint(err, "do not sign; show the file to whoever began the ceremony")
	}
	return c, nil
}

func (c *Ceremony) decodeProposed(o *object) {
	o.each(maxDocuments, func(role string, v any) {
		message, err := canonical(v)
		if err != nil {
			o.fail(role, "no canonical form")
			return
		}
		signed := newObject(v, join(o.at, role), o.err)
		switch {
		case role == RoleRoot:
			c.root = &proposal[*root]{decodeRoot(signed), message}
		case role == RoleTargets || (validRole(role) && !isTopLevel(role)):
			c.roles[role] = &proposal[*targets]{decodeTargets(signed), message}
		default:
			o.fail(role, "not a role that is signed in a ceremony")
		}
	})
}

func (c *Ceremony) decodeCurrent(o *object, err *error) {
	o.each(maxDocuments, func(role string, v any) {
		if m := decodeFile(v, decodeTargets, err); m != nil {
			c.current[role] = m
		}
	})
}

func (c *Ceremony) decodeRoots(all []any, err *error) {
	for _, v := range all {
		if m := decodeFile(v, decodeRoot, err); m != nil {
			c.roots = append(c.roots, m)
		}
	}
}

// decodeFile reads a metadata file that stands in another one. It returns nil
// and sets err, unless that is set, if it cannot.
func decodeFile[T body](v any, decode func(*object) T, err *error) *metadata[T] {
	if *err != nil {
		return nil
	}
	file, bad := encodeJSON(v)
	if bad != nil {
		*err = bad
		return nil
	}
	m, bad := parse(file, decode)
	if bad != nil {
		*err = bad
		return nil
	}
	return m
}

func rootName(version int64) string { return RoleRoot + " " + strconv.FormatInt(version, 10) }
