package native

import (
	"cmp"
	"slices"
	"strings"

	"plimsoll/internal/inventory"
	"plimsoll/internal/scan/exe"
)

// sureProvided is how sure a match is in a library of the product's own name.
const sureProvided = 0.99

// components returns what was recognised in the file.
func (f *file) components(read *exe.Info) (out []inventory.Component) {
	info := &symbols{Info: read, exported: map[string]bool{}, imported: map[string]bool{}}
	for i := range f.rules {
		r := &f.rules[i]
		linked := r.elsewhere(info)
		sightings := slices.DeleteFunc(slices.Clone(f.sightings[i]), func(s sighting) bool {
			p := &r.patterns[s.pattern]
			return !f.all(p.also) || p.Built && !linked
		})
		if len(sightings) == 0 || f.any(r.not) {
			continue
		}
		for _, s := range r.choose(sightings) {
			if r.provided(info) {
				s.confidence = max(s.confidence, sureProvided)
			}
			out = append(out, r.component(&s, r.relation(&s, info), f.distros))
		}
	}
	return compact(out)
}

// symbols are what is known of a file, with answers about its symbols remembered.
type symbols struct {
	*exe.Info
	exported, imported map[string]bool
}

// maxAsked bounds the symbols that are looked for in one file: each costs a look
// through all of them.
const maxAsked = 64

// exports reports whether the file exports the symbol. What was asked too often
// is answered with yes: then code is taken to be in the file.
func (s *symbols) exports(name string) bool { return ask(s.exported, name, true, s.Exports) }

// imports reports whether the file imports the symbol; no, if too many were
// asked for.
func (s *symbols) imports(name string) bool { return ask(s.imported, name, false, s.Imports) }

func ask(known map[string]bool, name string, over bool, look func(string) bool) bool {
	is, ok := known[name]
	if !ok {
		is = over
		if len(known) < maxAsked {
			is = look(name)
		}
		known[name] = is
	}
	return is
}

// provided reports whether the file is a library of the product's own.
func (p *Product) provided(info *symbols) bool { return begins([]string{info.Soname}, p.Provides) }

// elsewhere reports whether the file uses the product's code out of a library.
func (p *Product) elsewhere(info *symbols) bool {
	return begins(info.Needed, p.Links) || slices.ContainsFunc(p.Defines, info.imports)
}

// relation says whether the file has the product's code or only what it was built
// against.
func (p *Product) relation(s *sighting, info *symbols) inventory.Relation {
	if s.own || p.provided(info) || !p.elsewhere(info) || slices.ContainsFunc(p.Defines, info.exports) {
		return inventory.Contains
	}
	return inventory.Links
}

func (f *file) all(literals []int) bool {
	return !slices.ContainsFunc(literals, func(l int) bool { return f.hits[l] == 0 })
}

func (f *file) any(literals []int) bool {
	return slices.ContainsFunc(literals, func(l int) bool { return f.hits[l] > 0 })
}

// begins reports whether one of the names begins with one of the prefixes.
func begins(names, prefixes []string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		return n != "" && slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(n, p) })
	})
}

// component returns what a sighting says, in the words of a distribution if it
// shows one.
func (r *rule) component(s *sighting, relation inventory.Relation, distros []string) inventory.Component {
	c := inventory.Component{
		Kind: inventory.Native, Type: inventory.Generic, Namespace: r.namespace, Name: r.name, Version: s.version,
		Vendor: r.Vendor, Relation: relation, Evidence: []inventory.Evidence{{Confidence: s.confidence}},
	}
	if len(r.CPE) > 0 {
		c.CPE = "cpe:2.3:a:" + r.CPE[0] + ":" + quoteCPE(s.version) + ":*:*:*:*:*:*:*"
	}
	full := s.full(distros)
	t, namespace, ok := packaged(full, r.Debian != "")
	if !ok {
		return c
	}
	c.Type, c.Namespace, c.Version, c.SourceVersion = t, namespace, full, full
	c.SourceName = r.name
	if t == inventory.Deb {
		if r.Epoch != "" && !strings.Contains(full, ":") {
			c.Version = r.Epoch + ":" + full
		}
		c.Name, c.SourceName, c.SourceVersion = r.Debian, r.Debian, binaryBuild.ReplaceAllString(c.Version, "")
	}
	return c
}

// quoteCPE quotes a value as formatted strings want it (CPE naming 2.3, section 6.2).
func quoteCPE(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c != '_' && c != '.' && c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}

// compact leaves one of the components that differ in nothing but how they were
// recognised: a contained one and the surest.
func compact(all []inventory.Component) []inventory.Component {
	slices.SortStableFunc(all, func(a, b inventory.Component) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version),
			cmp.Compare(a.Relation, b.Relation), -cmp.Compare(a.Evidence[0].Confidence, b.Evidence[0].Confidence))
	})
	return slices.CompactFunc(all, func(a, b inventory.Component) bool {
		return a.Type == b.Type && a.Namespace == b.Namespace && a.Name == b.Name && a.Version == b.Version
	})
}
