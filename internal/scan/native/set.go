package native

import (
	"encoding/json"
	"hash/crc32"
	"regexp"
	"slices"
	"sync"
)

// Set is products made ready for recognising. It may be used concurrently.
type Set struct {
	rules    []rule
	searcher *searcher
	anchors  [][]anchored // by literal: the patterns that it is the anchor of
	marks    []bool       // by literal: it shows a distribution's version
	sum      uint32       // of the products
}

// rule is a product with its literals looked up.
type rule struct {
	*Product
	namespace, name string // of its package URL
	patterns        []pattern
	not             []int
}

type pattern struct {
	*Pattern
	also       []int
	expression func() *expression
}

// expression is a pattern's, compiled when it is needed first: most never are.
type expression struct {
	*regexp.Regexp
	version, distro, revision int // groups, -1 where there is none
}

// anchored names a pattern of a rule.
type anchored struct{ rule, pattern int }

// NewSet makes a set of products. An error is Invalid and names the product.
func NewSet(products []Product) (*Set, error) {
	for i := range products {
		if err := products[i].checkPatterns(); err != nil {
			return nil, err
		}
	}
	return newSet(products)
}

// newSet is [NewSet] for products that were checked.
func newSet(products []Product) (*Set, error) {
	s := &Set{rules: make([]rule, len(products))}
	s.searcher = newSearcher(texts(products))
	s.anchors = make([][]anchored, len(s.searcher.literals))
	s.marks = make([]bool, len(s.searcher.literals))
	for _, m := range distroMarks {
		s.marks[s.number(m)] = true
	}
	for i := range products {
		if err := s.add(i, &products[i]); err != nil {
			return nil, err
		}
	}
	content, err := json.Marshal(products)
	if err != nil {
		return nil, err
	}
	s.sum = crc32.ChecksumIEEE(content)
	return s, nil
}

// texts returns all literals of the products, sorted, each once.
func texts(products []Product) []string {
	out := slices.Clone(distroMarks)
	add := func(all ...literal) {
		for _, l := range all {
			out = append(out, string(l))
		}
	}
	for i := range products {
		add(products[i].Not...)
		for k := range products[i].Patterns {
			p := &products[i].Patterns[k]
			add(p.Anchor)
			add(p.Also...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// number returns which of the searcher's literals l is.
func (s *Set) number(l string) int {
	i, _ := slices.BinarySearch(s.searcher.literals, l)
	return i
}

func (s *Set) numbers(all literals) []int {
	out := make([]int, len(all))
	for i, l := range all {
		out[i] = s.number(string(l))
	}
	return out
}

func (s *Set) add(i int, p *Product) error {
	u, err := p.purl()
	if err != nil {
		return err
	}
	r := rule{Product: p, namespace: u.Namespace, name: u.Name, not: s.numbers(p.Not)}
	for k := range p.Patterns {
		one := p.Patterns[k] // a copy: the products belong to the caller
		one.fill(len(p.Table) > 0)
		r.patterns = append(r.patterns, pattern{
			Pattern: &one, also: s.numbers(one.Also),
			expression: sync.OnceValue(func() *expression {
				re := regexp.MustCompile(one.expression()) // it was compiled once when it was read
				return &expression{re, re.SubexpIndex("version"), re.SubexpIndex("distro"), re.SubexpIndex("revision")}
			}),
		})
		a := s.number(string(one.Anchor))
		s.anchors[a] = append(s.anchors[a], anchored{i, k})
	}
	s.rules[i] = r
	return nil
}

// builtin is the set of the products that plimsoll knows by itself.
var builtin = sync.OnceValues(func() (*Set, error) {
	products, err := Builtin()
	if err != nil {
		return nil, err
	}
	return newSet(products)
})
