package java

import (
	"bytes"
	"strings"
)

// packages are the folders of an archive's classes.
type packages struct {
	any    bool
	common string         // folder that all classes are below, "org/apache/"
	count  map[string]int // of classes by their folder, cut to elements
	last   string         // key of count that was used last
}

const (
	elements   = 3  // of a folder that say whose it is
	maxFolders = 64 // that are counted
)

// umbrellas are folders under which artifacts of many groups lie.
var umbrellas = map[string]bool{
	"org/apache/": true, "org/eclipse/": true, "org/jboss/": true, "org/codehaus/": true, "com/google/": true,
	"com/sun/": true, "net/sf/": true, "com/github/": true, "javax/": true, "jakarta/": true,
}

// add notes a class. Classes for single versions of Java, those of applications
// that carry their libraries, and descriptions of modules do not count.
func (p *packages) add(class []byte) {
	dir := class[:bytes.LastIndexByte(class, '/')+1]
	if len(dir) == 0 || bytes.Contains(class[:min(len(class), 9)], []byte("-INF/")) {
		return
	}
	if !p.any {
		p.any, p.common, p.count = true, string(dir), map[string]int{}
	}
	if n := shared(p.common, dir); n < len(p.common) {
		p.common = p.common[:n]
	}
	head := dir[:cut(dir)]
	if string(head) != p.last {
		if _, ok := p.count[string(head)]; !ok && len(p.count) == maxFolders {
			return
		}
		p.last = string(head)
	}
	p.count[p.last]++
}

// shared returns the length of the folder that both are below.
func shared(a string, b []byte) (n int) {
	for i := 0; i < len(a) && i < len(b) && a[i] == b[i]; i++ {
		if a[i] == '/' {
			n = i + 1
		}
	}
	return n
}

// cut returns the length of the folder's first elements.
func cut(dir []byte) int {
	slashes := 0
	for i, c := range dir {
		if c == '/' {
			if slashes++; slashes == elements {
				return i + 1
			}
		}
	}
	return len(dir)
}

// group guesses the group of an artifact from where its classes are: the folder
// of all of them or, where that is nobody's own, of most; without elements that
// the artifact's name says again.
func (p *packages) group(artifact string) string {
	folder := p.common
	if strings.Count(folder, "/") < 2 || umbrellas[folder] {
		folder = p.most()
	}
	all := strings.Split(strings.Trim(folder[:cut([]byte(folder))], "/"), "/")
	for len(all) > 2 && strings.Contains(strings.ToLower(artifact), all[len(all)-1]) && !umbrellas[strings.Join(all[:len(all)-1], "/")+"/"] {
		all = all[:len(all)-1]
	}
	if len(all) < 2 {
		return ""
	}
	return strings.Join(all, ".")
}

// most returns the folder that more than half of the classes are in, or "".
func (p *packages) most() string {
	total, most, best := 0, "", 0
	for folder, n := range p.count {
		total += n
		if n > best {
			most, best = folder, n
		}
	}
	if 2*best <= total {
		return ""
	}
	return most
}
