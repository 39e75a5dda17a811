package java

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
)

//go:embed known.tsv
var knownRows string

// product is what an archive of a name is, if it has classes below a folder and
// its major version is in a range.
type product struct {
	group, artifact, folder string
	first, last             int
}

// wellKnown are the products by the names that they go by.
var wellKnown = sync.OnceValue(func() map[string][]product { return readKnown(knownRows) })

func readKnown(rows string) map[string][]product {
	known := map[string][]product{}
	for row := range strings.Lines(rows) {
		f := strings.Split(strings.TrimSuffix(row, "\n"), "\t")
		if len(f) != 5 {
			continue // a comment
		}
		first, last, _ := strings.Cut(f[4], "-")
		p := product{group: f[1], artifact: f[2], folder: f[3], last: 1<<31 - 1}
		p.first, _ = strconv.Atoi(first) // none is 0
		if n, err := strconv.Atoi(last); err == nil {
			p.last = n
		}
		known[f[0]] = append(known[f[0]], p)
	}
	return known
}

// had reports whether the product had the version. One that is not known may be
// of any product that is the only one of its name.
func (p *product) had(version string) bool {
	end := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(version)
	}
	major, err := strconv.Atoi(version[:end])
	if err != nil {
		return p.first == 0 && p.last == 1<<31-1
	}
	return p.first <= major && major <= p.last
}
