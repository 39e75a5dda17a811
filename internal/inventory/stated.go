package inventory

import (
	"slices"
	"strings"
)

// Claim is what an SBOM inside the image says of one component's files.
type Claim struct {
	Component Component `json:"component"` // without evidence
	Files     []Owned   `json:"files"`     // Package and Type are the component's
}

// Verdict says what came of checking a component that an SBOM states.
type Verdict string

// The verdicts, from the best to the worst.
const (
	Confirmed    Verdict = "confirmed"    // other evidence says so, too
	Unconfirmed  Verdict = "unconfirmed"  // nothing speaks for it or against it
	Contradicted Verdict = "contradicted" // other evidence names another version only
	Altered      Verdict = "altered"      // a file that it is said to have has another content
	Absent       Verdict = "absent"       // no file that it is said to have is there
)

// Stated is a component as an SBOM states it, and whether that is true.
type Stated struct {
	Component Component `json:"component"` // with the SBOMs as evidence
	Verdict   Verdict   `json:"verdict"`
	Detail    string    `json:"detail,omitempty"` // the other version, or the file
}

// Contents tells of a file of the final image: whether it is there, and the sum
// of what it holds in the form of the sum that is asked with, "" if that is not
// known.
type Contents func(path, sum string) (got string, ok bool)

// CheckStated checks the components that SBOMs state, those that were recognised
// by method, against everything else that was recognised and against the files
// that are there (nil: no file is looked at). A component that other evidence
// confirms is no longer listed twice: its evidence is added to the other's. A
// component none of whose files is there, and that nothing confirms, is taken out
// of the inventory: it is returned and not listed.
//
// The answers are in the order of the components.
func (v *Inventory) CheckStated(method string, claims []Claim, files Contents) []Stated {
	c := checker{method: method, claims: map[product][]Owned{}, files: files, known: map[product][]int{}}
	for i := range claims {
		p := productOf(&claims[i].Component)
		c.claims[p] = append(c.claims[p], claims[i].Files...)
	}
	for i := range v.Components {
		if !c.statedOnly(&v.Components[i]) {
			p := productOf(&v.Components[i])
			c.known[p.unversioned()] = append(c.known[p.unversioned()], i)
		}
	}
	var out []Stated
	gone := map[int]bool{}
	for i := range v.Components {
		one := &v.Components[i]
		evidence := c.stated(one)
		if len(evidence) == 0 {
			continue
		}
		s := Stated{Component: *one}
		s.Component.Evidence = evidence
		var same int
		s.Verdict, s.Detail, same = c.check(v, i)
		out = append(out, s)
		if same >= 0 && same != i {
			v.Components[same].Evidence = merged(v.Components[same].Evidence, evidence)
		}
		gone[i] = c.statedOnly(one) && (same >= 0 || s.Verdict == Absent)
	}
	i := -1
	v.Components = slices.DeleteFunc(v.Components, func(Component) bool { i++; return gone[i] })
	return out
}

// product is what a component is, however it was packed and recognised.
type product struct {
	typ                      Type
	namespace, name, version string
}

// productOf returns what c is. A Go module's version is with and without the v
// that module paths have.
func productOf(c *Component) product {
	p := product{c.Type, strings.ToLower(c.Namespace), strings.ToLower(c.Name), c.Version}
	if c.Type == Golang {
		p.version = strings.TrimPrefix(p.version, "v")
	}
	return p
}

func (p product) unversioned() product {
	p.version = ""
	return p
}

type checker struct {
	method string
	claims map[product][]Owned
	files  Contents
	known  map[product][]int // by product without version: components that are there for other reasons
}

// stated returns the evidence of c that SBOMs are.
func (c *checker) stated(one *Component) (out []Evidence) {
	for _, e := range one.Evidence {
		if e.Method == c.method {
			out = append(out, e)
		}
	}
	return out
}

func (c *checker) statedOnly(one *Component) bool {
	return !slices.ContainsFunc(one.Evidence, func(e Evidence) bool { return e.Method != c.method })
}

// check returns the verdict on component i, and which component confirms it, -1
// if none does.
func (c *checker) check(v *Inventory, i int) (verdict Verdict, detail string, same int) {
	p := productOf(&v.Components[i])
	others := c.known[p.unversioned()]
	same = -1
	for _, k := range others {
		if productOf(&v.Components[k]) == p && (same < 0 || k == i) {
			same = k
		}
	}
	if verdict, detail = c.look(p); verdict != "" {
		return verdict, detail, same
	}
	switch {
	case same >= 0:
		return Confirmed, "", same
	case len(others) > 0:
		return Contradicted, v.Components[others[0]].Version, -1
	}
	return Unconfirmed, "", -1
}

// look looks for the files that the component is said to have. That it is not
// there is said only if none of them is: images are often made smaller by taking
// parts of packages out.
func (c *checker) look(p product) (verdict Verdict, detail string) {
	claimed := c.claims[p]
	if c.files == nil || len(claimed) == 0 {
		return "", ""
	}
	verdict, detail = Absent, claimed[0].Path
	for _, f := range claimed {
		got, ok := c.files(f.Path, f.Sum)
		switch {
		case ok && f.Sum != "" && got != "" && got != f.Sum:
			return Altered, f.Path
		case ok:
			verdict, detail = "", ""
		}
	}
	return verdict, detail
}

// merged returns both lists of evidence in the order that inventories have.
func merged(a, b []Evidence) []Evidence {
	all := append(slices.Clip(a), b...)
	slices.SortFunc(all, compareEvidence)
	return slices.Compact(all)
}
