package inventory

import "strings"

// reach is how much of the tree a mark removes.
type reach uint8

const (
	self  reach = 1 << iota // the path
	below                   // everything under it
)

// cutter decides which of the known files a layer removes. It looks only at
// paths that are, or lead to, a known file.
type cutter struct {
	marks map[string]reach // known files and their ancestors
}

func newCutter(files map[string]*placed) *cutter {
	c := &cutter{marks: make(map[string]reach, 4*len(files))}
	c.marks["."] = 0
	for p := range files {
		for p != "" {
			if _, ok := c.marks[p]; ok {
				break
			}
			c.marks[p] = 0
			p = parent(p)
		}
	}
	return c
}

// parent returns the directory of p, "" for a path at the top.
func parent(p string) string {
	i := strings.LastIndexByte(p, '/')
	return p[:max(i, 0)]
}

func (c *cutter) mark(p string, r reach) {
	if had, ok := c.marks[p]; ok {
		c.marks[p] = had | r
	}
}

// entry marks what one entry of the layer replaces: a directory only what was
// not one, anything else also what was below.
func (c *cutter) entry(path []byte, dir bool) {
	had, ok := c.marks[string(path)]
	if !ok || string(path) == "." {
		return
	}
	if dir {
		c.marks[string(path)] = had | self
	} else {
		c.marks[string(path)] = had | self | below
	}
}

// cuts reports whether the file at p is removed.
func (c *cutter) cuts(p string) bool {
	if c.marks[p]&self != 0 || c.marks["."]&below != 0 {
		return true
	}
	for p = parent(p); p != ""; p = parent(p) {
		if c.marks[p]&below != 0 {
			return true
		}
	}
	return false
}
