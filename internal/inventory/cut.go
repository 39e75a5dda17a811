package inventory

import (
	"bytes"
	"strings"
)

// reach is how much of the tree a removal takes.
type reach uint8

const (
	self  reach = 1 << iota // the path
	below                   // everything under it
)

// tree holds the paths that something is known about, so that what a layer
// removes is found by going down from its paths: a layer costs what it writes
// and removes, however much is known of the layers below it. A path of which no
// part matters by itself takes one node, however deep it is: a layer of deep
// paths would take a thousand times its size otherwise.
type tree struct {
	label    string           // the path from the node above, one or more elements
	known    bool             // something is known about this path itself
	children map[string]*tree // by the first element of their label
}

func (t *tree) add(path string) {
	for rest := path; ; {
		next := t.children[first(rest)]
		if next == nil {
			t.hang(&tree{label: rest, known: true})
			return
		}
		n := shared(next.label, rest)
		if n < len(next.label) {
			upper := &tree{label: next.label[:n]}
			next.label = next.label[n+1:]
			upper.hang(next)
			t.hang(upper)
			next = upper
		}
		if n == len(rest) {
			next.known = true
			return
		}
		t, rest = next, rest[n+1:]
	}
}

func (t *tree) hang(child *tree) {
	if t.children == nil {
		t.children = map[string]*tree{}
	}
	t.children[first(child.label)] = child
}

// first returns the first element of a path.
func first(path string) string {
	element, _, _ := strings.Cut(path, "/")
	return element
}

// shared returns the length of the elements that both paths begin with, which
// begin with the same one.
func shared(a, b string) int {
	n, i := 0, 0
	for ; i < len(a) && i < len(b) && a[i] == b[i]; i++ {
		if a[i] == '/' {
			n = i
		}
	}
	if (i == len(a) || a[i] == '/') && (i == len(b) || b[i] == '/') {
		return i
	}
	return n
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
		end := bytes.IndexByte(path, '/')
		if end < 0 {
			end = len(path)
		}
		if t = t.children[string(path[:end])]; t == nil {
			return false
		}
		n := len(t.label)
		if n >= len(path) {
			return strings.HasPrefix(t.label, string(path)) && (n == len(path) || t.label[len(path)] == '/')
		}
		if string(path[:n]) != t.label || path[n] != '/' {
			return false
		}
		path = path[n+1:]
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
	next := t.children[first(rest)]
	if next == nil {
		return
	}
	if deeper, ok := strings.CutPrefix(rest, next.label+"/"); ok {
		next.descend(path, deeper, r, gone)
	} else {
		next.take(path, rest, r, gone)
	}
	if !next.known && len(next.children) == 0 {
		delete(t.children, first(rest))
	}
}

// take takes path, the rest of which is the node's label or a part of it, out of
// the tree.
func (t *tree) take(path, rest string, r reach, gone map[string]*placed) {
	further, ok := strings.CutPrefix(t.label, rest)
	switch {
	case !ok || further != "" && further[0] != '/':
	case further == "":
		if r&self != 0 && t.known {
			t.known = false
			gone[path] = nil
		}
		if r&below != 0 {
			t.empty(path+"/", gone)
		}
	case r&below != 0:
		if t.known {
			t.known = false
			gone[path+further] = nil
		}
		t.empty(path+further+"/", gone)
	}
}

// empty takes everything below t, whose path is prefix, out of the tree.
func (t *tree) empty(prefix string, gone map[string]*placed) {
	for _, next := range t.children {
		if next.known {
			gone[prefix+next.label] = nil
		}
		next.empty(prefix+next.label+"/", gone)
	}
	t.children = nil
}

// parent returns the directory of p, "" for a path at the top.
func parent(p string) string {
	i := strings.LastIndexByte(p, '/')
	return p[:max(i, 0)]
}
