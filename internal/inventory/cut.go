package inventory

import "strings"

// reach is how much of the tree a removal takes.
type reach uint8

const (
	self  reach = 1 << iota // the path
	below                   // everything under it
)

// tree holds the paths that something is known about, so that what a layer
// removes is found by going down from its paths: a layer costs what it writes
// and removes, however much is known of the layers below it.
type tree struct {
	known    bool // something is known about this path itself
	children map[string]*tree
}

func (t *tree) add(path string) {
	for element := range strings.SplitSeq(path, "/") {
		next := t.children[element]
		if next == nil {
			next = &tree{}
			if t.children == nil {
				t.children = map[string]*tree{}
			}
			t.children[element] = next
		}
		t = next
	}
	t.known = true
}

// replace removes what one entry of a layer replaces: a directory only what was
// not one, anything else also what was below.
func (t *tree) replace(path []byte, dir bool, gone map[string]*placed) {
	if string(path) == "." || !t.leadsTo(path) {
		return
	}
	if dir {
		t.remove(string(path), self, gone)
	} else {
		t.remove(string(path), self|below, gone)
	}
}

// leadsTo reports whether path is in the tree.
func (t *tree) leadsTo(path []byte) bool {
	for {
		end := 0
		for end < len(path) && path[end] != '/' {
			end++
		}
		if t = t.children[string(path[:end])]; t == nil {
			return false
		}
		if end == len(path) {
			return true
		}
		path = path[end+1:]
	}
}

// remove takes path out of the tree and adds what was known to gone. Branches
// that lead to nothing any more go with it.
func (t *tree) remove(path string, r reach, gone map[string]*placed) {
	if path == "." {
		if r&below != 0 {
			t.empty("", gone)
		}
		return
	}
	t.descend(path, path, r, gone)
}

func (t *tree) descend(path, rest string, r reach, gone map[string]*placed) {
	element, rest, deeper := strings.Cut(rest, "/")
	next := t.children[element]
	if next == nil {
		return
	}
	switch {
	case deeper:
		next.descend(path, rest, r, gone)
	default:
		if r&self != 0 && next.known {
			next.known = false
			gone[path] = nil
		}
		if r&below != 0 {
			next.empty(path+"/", gone)
		}
	}
	if !next.known && len(next.children) == 0 {
		delete(t.children, element)
	}
}

// empty takes everything below t, whose path is prefix, out of the tree.
func (t *tree) empty(prefix string, gone map[string]*placed) {
	for element, next := range t.children {
		if next.known {
			gone[prefix+element] = nil
		}
		next.empty(prefix+element+"/", gone)
	}
	t.children = nil
}

// parent returns the directory of p, "" for a path at the top.
func parent(p string) string {
	i := strings.LastIndexByte(p, '/')
	return p[:max(i, 0)]
}
