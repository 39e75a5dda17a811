package trust

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Words returns what the ceremony changes, line by line, as it follows from the
// bytes to be signed. They are the same on every machine and part of the
// ceremony's file; the last line is the fingerprint that people compare.
func (c *Ceremony) Words() []string {
	w := &wording{}
	w.line("ceremony for %s, open until %s", c.gun, minute(c.until))
	if c.root != nil {
		c.rootWords(w)
	} else {
		w.line("%s stays (%s)", rootName(c.base().Signed.Version), digestOf(c.base().signed))
	}
	for _, role := range c.Documents() {
		if role != RoleRoot {
			c.targetsWords(w, role)
		}
	}
	w.line("fingerprint of this ceremony, to be read out: %s", c.Fingerprint())
	return w.lines
}

type wording struct{ lines []string }

func (w *wording) line(format string, args ...any) {
	w.lines = append(w.lines, fmt.Sprintf(format, args...))
}

func (c *Ceremony) rootWords(w *wording) {
	r, was := c.root.signed, &root{}
	if c.Starts() {
		w.line("root 1 starts the trust data of %s", c.gun)
	} else {
		was = c.base().Signed
		w.line("%s follows %s (%s)", rootName(r.Version), rootName(was.Version), digestOf(c.base().signed))
	}
	for _, role := range topLevel {
		now, before := signedBy{r.Keys, r.Roles[role]}, signedBy{was.Keys, was.Roles[role]}
		w.role(role, now, before)
		w.keys(now, before, attested(r), attested(was))
	}
	w.signing(rootName(r.Version), &r.header, &was.header, c.root.message)
}

func (c *Ceremony) targetsWords(w *wording, role string) {
	p, was := c.roles[role], &targets{}
	name := shown(role)
	if m := c.current[role]; m != nil {
		was = m.Signed
		w.line("%s %d follows %s %d (%s)", name, p.signed.Version, name, was.Version, digestOf(m.signed))
	} else {
		w.line("%s %d is the first", name, p.signed.Version)
	}
	w.targets(p.signed, was)
	w.delegations(p.signed.Delegations, was.Delegations)
	w.signing(fmt.Sprintf("%s %d", name, p.signed.Version), &p.signed.header, &was.header, p.message)
}

// signing says until when a document is valid, and its digest.
func (w *wording) signing(name string, now, was *header, message []byte) {
	before := ""
	if !was.Expires.IsZero() {
		before = fmt.Sprintf(" (before: %s)", minute(was.Expires))
	}
	w.line("  %s expires %s%s", name, minute(now.Expires), before)
	w.line("  bytes of %s to be signed: %s", name, digestOf(message))
}

// role says how many of its keys a role takes.
func (w *wording) role(role string, now, before signedBy) {
	is := fmt.Sprintf("%d of %d", now.role.Threshold, len(now.role.of(now.keys)))
	was := ""
	if before.role.Threshold > 0 {
		if was = fmt.Sprintf("%d of %d", before.role.Threshold, len(before.role.of(before.keys))); was == is {
			was = ", as before"
		} else {
			was = " (before: " + was + ")"
		}
	}
	w.line("  role %s: signed by %s keys%s", shown(role), is, was)
}

// keys says which keys a role gets, keeps and loses.
func (w *wording) keys(now, before signedBy, proofs, had map[string]string) {
	old := map[string]*Key{}
	for _, k := range before.role.of(before.keys) {
		old[k.Fingerprint] = k
	}
	for _, k := range now.role.of(now.keys) {
		word := "comes"
		if was := old[k.Fingerprint]; was != nil {
			word = "stays"
			if proofs[k.ID] != had[was.ID] {
				word = "stays, with another attestation"
			}
			delete(old, k.Fingerprint)
		}
		w.line("    %s: %s %s%s", word, k.Type, k.Fingerprint, proofs[k.ID])
	}
	for _, f := range slices.Sorted(maps.Keys(old)) {
		w.line("    goes: %s %s", old[f].Type, f)
	}
}

// attested returns a note on the key IDs for which r carries an attestation. It
// is not verified here.
func attested(r *root) map[string]string {
	all := map[string]string{}
	m, _ := r.rest[attestationsField].(map[string]any)
	for id, chain := range m {
		if b, err := canonical(chain); err == nil {
			all[id] = ", attested (" + digestOf(b) + ")"
		}
	}
	return all
}

func (w *wording) targets(now, was *targets) {
	for _, path := range slices.Sorted(maps.Keys(now.Targets)) {
		f := now.Targets[path]
		old, there := was.Targets[path]
		switch {
		case there && same(old.encode(), f.encode()):
			continue
		case there:
			w.line("  names %s: %s, %d bytes (before: %s)", shown(path), f.Hashes.words(), f.Length, old.Hashes.words())
		default:
			w.line("  names %s: %s, %d bytes", shown(path), f.Hashes.words(), f.Length)
		}
		w.lines = append(w.lines, f.platformWords()...)
	}
	gone := 0
	for _, path := range slices.Sorted(maps.Keys(was.Targets)) {
		if _, ok := now.Targets[path]; !ok {
			w.line("  names %s no longer (it was %s)", shown(path), was.Targets[path].Hashes.words())
			gone++
		}
	}
	w.line("  names %d in all, %d no longer", len(now.Targets), gone)
}

func (w *wording) delegations(now, was *delegations) {
	if now == nil {
		now = &delegations{}
	}
	if was == nil {
		was = &delegations{}
	}
	for i := range now.Roles {
		r := &now.Roles[i]
		before := delegation{}
		if old := was.role(r.Name); old != nil {
			before = *old
		}
		if before.Name != "" && same(r.words(now.Keys), before.words(was.Keys)) && i < len(was.Roles) && was.Roles[i].Name == r.Name {
			continue
		}
		by, old := signedBy{now.Keys, r.keyRole}, signedBy{was.Keys, before.keyRole}
		w.role(r.Name, by, old)
		w.line("    number %d of the delegated roles, may name %+q %+q, terminating: %t", i+1, r.Paths, r.Prefixes, r.Terminating)
		w.keys(by, old, nil, nil)
	}
	for i := range was.Roles {
		if now.role(was.Roles[i].Name) == nil {
			w.line("  role %s goes", shown(was.Roles[i].Name))
		}
	}
}

// words returns what of a delegation is told in words, to be compared.
func (d *delegation) words(ks keys) map[string]any {
	var ids []string
	for _, k := range d.of(ks) {
		ids = append(ids, k.Fingerprint)
	}
	slices.Sort(ids)
	return map[string]any{"keys": ids, "threshold": d.Threshold, "paths": d.Paths, "prefixes": d.Prefixes, "terminating": d.Terminating}
}

func (h hashes) words() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(h)) {
		all = append(all, shown(name)+":"+shown(h[name]))
	}
	return strings.Join(all, " ")
}

var platformFields = []string{"chainID", "config", "manifest", "platform", "size"}

// tellable reports whether a target says nothing but what [target.platformWords]
// tells.
func tellable(path string, f target) bool {
	if f.Custom == nil {
		return true
	}
	if !strings.HasPrefix(path, "sha256/") {
		return false
	}
	if list, ok := f.Custom[imagesField].([]any); ok {
		if len(f.images()) != len(list) {
			return false
		}
		if len(f.Custom) == 1 {
			return true
		}
	}
	list, ok := f.Custom[platformsField].([]any)
	_, media := f.Custom["mediaType"].(string)
	known := without(without(without(f.Custom, imagesField), platformsField), "mediaType")
	if !ok || !media || len(known) > 0 {
		return false
	}
	for _, v := range list {
		p, _ := v.(map[string]any)
		if !slices.Equal(slices.Sorted(maps.Keys(p)), platformFields) {
			return false
		}
		for _, name := range platformFields {
			_, text := p[name].(string)
			_, number := p[name].(json.Number)
			if text == (name == "size") || number != (name == "size") {
				return false
			}
		}
	}
	return true
}

// platformWords says which platforms' images belong to a digest.
func (t target) platformWords() []string {
	w := &wording{}
	if media, ok := t.Custom["mediaType"].(string); ok {
		w.line("    media type %s", shown(media))
	}
	for _, image := range t.images() {
		w.line("    is a platform of %s", shown(image))
	}
	list, _ := t.Custom[platformsField].([]any)
	for _, v := range list {
		p, _ := v.(map[string]any)
		text := func(name string) string { s, _ := p[name].(string); return shown(s) }
		w.line("    for %s: manifest %s of %d bytes, config %s, layers %s", text("platform"), text("manifest"), parseSize(p["size"]), text("config"), text("chainID"))
	}
	return w.lines
}

var plain = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9./:+_-]*$`)

// shown returns text from outside as it is if it can mislead nobody, and quoted
// otherwise.
func shown(s string) string {
	if plain.MatchString(s) {
		return s
	}
	return fmt.Sprintf("%+q", s)
}

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}
