package inventory

import (
	_ "embed" // of the list of licences
	"strings"
	"sync"
)

//go:embed licences.txt
var licenceList string

// licences returns the SPDX identifiers of licences and exceptions by their lower
// case: they are compared without regard to it (SPDX 2.3, annex D.2).
var licences = sync.OnceValue(func() map[string]string {
	all := map[string]string{}
	for id := range strings.Lines(licenceList) {
		id = strings.TrimSpace(id)
		all[strings.ToLower(id)] = id
	}
	return all
})

// Bounds on licence expressions; real ones have a few operators.
const (
	maxLicence      = 4096 // bytes
	maxLicenceDepth = 32   // parentheses
)

// licence returns what a package says of its licence as an SPDX licence
// expression (SPDX 2.3, annex D), in the standard's own spelling, and whether it
// is a single identifier. ok is false if it is not one.
func licence(s string) (expression string, single, ok bool) {
	if id, known := identifier(s); known {
		return id, true, true
	}
	if len(s) > maxLicence {
		return "", false, false
	}
	p := licenceParser{words: strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(s))}
	if !p.alternatives(0) || len(p.words) > 0 {
		return "", false, false
	}
	expression = strings.Join(p.out, " ")
	return strings.NewReplacer("( ", "(", " )", ")").Replace(expression), false, true
}

// identifier returns the listed spelling of a licence's identifier.
func identifier(s string) (string, bool) {
	id, ok := licences()[strings.ToLower(s)]
	return id, ok && !isException(id)
}

// isException tells what may only follow WITH. Some licences of old lists hold
// their exception in their name ("GPL-2.0-with-GCC-exception").
func isException(id string) bool {
	return id == "GPL-CC-1.0" || id == "Linux-syscall-note" ||
		(strings.Contains(id, "exception") && !strings.Contains(id, "-with-"))
}

// licenceParser reads an expression word by word; AND binds closer than OR.
type licenceParser struct {
	words, out []string
}

// take reports whether the next word is this one, and passes it.
func (p *licenceParser) take(word string) bool {
	if len(p.words) == 0 || (p.words[0] != word && p.words[0] != strings.ToLower(word)) {
		return false
	}
	p.words, p.out = p.words[1:], append(p.out, word)
	return true
}

func (p *licenceParser) alternatives(depth int) bool {
	for p.together(depth) {
		if !p.take("OR") {
			return true
		}
	}
	return false
}

func (p *licenceParser) together(depth int) bool {
	for p.one(depth) {
		if !p.take("AND") {
			return true
		}
	}
	return false
}

func (p *licenceParser) one(depth int) bool {
	if p.take("(") {
		return depth < maxLicenceDepth && p.alternatives(depth+1) && p.take(")")
	}
	if len(p.words) == 0 {
		return false
	}
	word, later := strings.CutSuffix(p.words[0], "+")
	id, ok := identifier(word)
	if !ok {
		return false
	}
	if later {
		id += "+"
	}
	p.words, p.out = p.words[1:], append(p.out, id)
	return !p.take("WITH") || p.exception()
}

func (p *licenceParser) exception() bool {
	if len(p.words) == 0 {
		return false
	}
	id, ok := licences()[strings.ToLower(p.words[0])]
	if !ok || !isException(id) {
		return false
	}
	p.words, p.out = p.words[1:], append(p.out, id)
	return true
}
