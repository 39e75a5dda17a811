package inventory

import (
	"cmp"
	"slices"
	"strings"
)

// Bad says what is known of bad files by their content.
type Bad interface {
	// Lookup returns what is known of the content, "" if nothing is.
	Lookup(Sums) string
	// Version is another one whenever Lookup may answer otherwise.
	Version() string
}

// account says of every file that can run how it is accounted for.
func (v *Inventory) account(r *replay, paths []string, own owners, bad Bad) {
	tallies := map[Standing]*Tally{}
	a := Accounts{Tallies: make([]Tally, len(standings)), Explained: 100, Open: []Executable{}}
	for i, s := range standings {
		a.Tallies[i].Standing = s
		tallies[s] = &a.Tallies[i]
	}
	explained := 0
	for _, p := range paths {
		file := r.files[p]
		if file.program == nil {
			continue
		}
		e := Executable{Layer: v.Layers[file.layer].Digest, Index: file.layer, Path: p, Program: *file.program}
		e.judge(r.resolve(p), file, own, bad)
		t := tallies[e.Standing]
		t.Files, t.Bytes = t.Files+1, t.Bytes+e.Size
		a.Files, a.Bytes = a.Files+1, a.Bytes+e.Size
		if e.Standing.Explained() {
			explained++
		} else {
			a.Open = append(a.Open, e)
		}
	}
	if a.Files > 0 {
		a.Explained = float64(explained*10000/a.Files) / 100 // never rounded up to 100
	}
	slices.SortFunc(a.Open, func(x, y Executable) int { return cmp.Compare(x.Path, y.Path) })
	v.Accounts = a
}

// judge sets the standing of the executable, which lies at path when symlinks
// are followed.
func (e *Executable) judge(path string, file *placed, own owners, bad Bad) {
	if bad != nil {
		if e.Reason = bad.Lookup(e.Sums); e.Reason != "" {
			e.Standing = KnownBad
			return
		}
	}
	e.Standing = own.standing(e, path)
	if e.Standing == Changed || e.Standing.Explained() {
		return
	}
	for k := range file.found {
		for c := range file.found[k].Components {
			switch one := &file.found[k].Components[c]; {
			case one.Relation == Links:
			case one.Kind == Native:
				e.Standing = Recognised
			default:
				e.Standing = Embedded
				return
			}
		}
	}
}

// standing returns what packages' records say of the executable. A record that
// says nothing of the content counts only for a file that is not younger than
// the package.
func (o *owners) standing(e *Executable, path string) Standing {
	standing := Unknown
	for _, c := range o.claims[path] {
		same, known := e.matches(c.sum)
		switch {
		case same && known:
			e.Package = ""
			return Packaged
		case c.sum == "" && e.Index <= c.layer:
			if standing == Unknown {
				standing = Unchecked
			}
		case c.sum != "":
			standing, e.Package = Changed, c.purl
		}
	}
	if standing == Unknown && e.Form == Script && o.above(path) {
		return Embedded
	}
	return standing
}

// keeps reports whether the distribution's package has the file as it brought
// it, as far as its record tells. Packages of third parties install below opt and
// usr/local, and what they bundle is mended by no distribution.
func (o *owners) keeps(path string, file *placed) bool {
	for _, foreign := range []string{"opt/", "srv/", "usr/local/", "home/"} {
		if strings.HasPrefix(path, foreign) {
			return false
		}
	}
	e := Executable{Index: file.layer, Program: *file.program}
	switch o.standing(&e, path) {
	case Packaged, Unchecked:
		return slices.ContainsFunc(o.claims[path], func(c claim) bool { return c.os })
	case Embedded, Recognised, Unknown, Changed, KnownBad:
	}
	return false
}

// machine reports whether the file holds machine code.
func (p *placed) machine() bool {
	return p.program != nil && p.program.Form != Script && p.program.Form != Jar
}
