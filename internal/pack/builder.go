package pack

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"plimsoll/internal/advisory"
	"plimsoll/internal/fault"
)

// Builder gathers records and sorts them into packs. It is not safe for
// concurrent use.
type Builder struct {
	sets map[advisory.Ecosystem]*set
}

// set is what becomes one pack.
type set struct {
	sources map[string]*Source
	rows    map[row]string // row → body
	records map[string]bool
}

// row is the key of one record for one package. A record's name alone is not
// enough: two sources may speak of one CVE.
type row struct{ name, id, source string }

// Add puts a record of src, which must have passed its check, into the packs of
// the ecosystems that it speaks of. A withdrawn record, and packages of an
// ecosystem whose versions cannot be ordered, are left out; added is false if
// nothing was left.
func (b *Builder) Add(src Source, r *advisory.Record) (added bool, err error) {
	if !r.Withdrawn.IsZero() {
		return false, nil
	}
	byPackage := map[advisory.Package][]advisory.Affected{}
	for _, a := range r.Affected {
		if _, err := advisory.OrderOf(a.Package.Ecosystem); err != nil && !a.Package.Ecosystem.Overlay() {
			continue
		}
		p := a.Package
		p.Name = p.Ecosystem.PackageName(p.Name)
		byPackage[p] = append(byPackage[p], a)
	}
	for p, affected := range byPackage {
		part := *r
		part.Affected = affected
		part.Trim()
		body, err := json.Marshal(&part)
		if err != nil {
			return false, fmt.Errorf("write advisory %q: %w", r.ID, err)
		}
		if err := b.set(p.Ecosystem).add(src, row{p.Name, r.ID, src.Name}, string(body)); err != nil {
			return false, err
		}
		added = true
	}
	return added, nil
}

func (b *Builder) set(e advisory.Ecosystem) *set {
	if b.sets == nil {
		b.sets = map[advisory.Ecosystem]*set{}
	}
	s := b.sets[e]
	if s == nil {
		s = &set{sources: map[string]*Source{}, rows: map[row]string{}, records: map[string]bool{}}
		b.sets[e] = s
	}
	return s
}

// add refuses two records of one name that differ, because the result would
// depend on the order in which they come.
func (s *set) add(src Source, r row, body string) error {
	if old, ok := s.rows[r]; ok && old != body {
		return fault.Errorf(fault.Invalid, "advisory %q: source %q has two of this name for %q, and they differ", r.id, r.source, r.name)
	}
	have, ok := s.sources[src.Name]
	if !ok {
		src.Records = 0
		have = &src
		s.sources[src.Name] = have
	}
	if key := r.source + "\n" + r.id; !s.records[key] {
		s.records[key] = true
		have.Records++
	}
	s.rows[r] = body
	return nil
}

// Ecosystems returns what packs there will be, sorted.
func (b *Builder) Ecosystems() []advisory.Ecosystem {
	return slices.Sorted(maps.Keys(b.sets))
}

// info describes the pack, but for its digest and size.
func (s *set) info(e advisory.Ecosystem) Info {
	info := Info{Ecosystem: e, Records: len(s.records)}
	packages := map[string]bool{}
	for r := range s.rows {
		packages[r.name] = true
	}
	info.Packages = len(packages)
	for _, name := range slices.Sorted(maps.Keys(s.sources)) {
		src := *s.sources[name]
		if info.AsOf.IsZero() || src.AsOf.Before(info.AsOf) {
			info.AsOf = src.AsOf
		}
		info.Sources = append(info.Sources, src)
	}
	return info
}

// sorted returns the rows in the order in which they are written.
func (s *set) sorted() []row {
	return slices.SortedFunc(maps.Keys(s.rows), func(a, b row) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.id, b.id), strings.Compare(a.source, b.source))
	})
}
