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

// bootLoader is what Spring Boot puts into every application.
const bootLoader = "org/springframework/boot/loader/"

const (
	elements   = 3  // of a folder that say whose it is
	maxFolders = 64 // that are counted
)

// umbrellas are folders under which artifacts of many groups lie.
var umbrellas = map[string]bool{
	"org/apache/": true, "org/eclipse/": true, "org/jboss/": true, "org/codehaus/": true, "com/google/": true,
	"com/sun/": true, "net/sf/": true, "com/github/": true, "javax/": true, "jakarta/": true,
}

// add notes a class. Those of an application that carries its libraries lie in a
// folder of their own; classes for single versions of Java, the loader of Spring
// Boot and descriptions of modules do not count.
func (p *packages) add(class []byte) {
	if before, rest, ok := bytes.Cut(class, []byte("-INF/classes/")); ok && len(before) <= len("BOOT") {
		class = rest
	}
	dir := class[:bytes.LastIndexByte(class, '/')+1]
	if len(dir) == 0 || bytes.Contains(class[:min(len(class), 9)], []byte("-INF/")) || bytes.HasPrefix(class, []byte(bootLoader)) {
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
// of all of them or, where that is nobody's own, of most; without the element that
// tells the artifact from others of its group (spring-beans in
// org.springframework), but with that by which the artifact's name begins
// (logback-core in ch.qos.logback).
func (p *packages) group(artifact string) string {
	folder := p.common
	if strings.Count(folder, "/") < 2 || umbrellas[folder] {
		folder = p.most()
	}
	all := strings.Split(strings.Trim(folder[:cut([]byte(folder))], "/"), "/")
	for len(all) > 2 && tells(all[len(all)-1], artifact) && !umbrellas[strings.Join(all[:len(all)-1], "/")+"/"] {
		all = all[:len(all)-1]
	}
	if len(all) < 2 {
		return ""
	}
	return strings.Join(all, ".")
}

// tells reports whether the element is what the artifact is called in its group.
func tells(element, artifact string) bool {
	return artifact == element || strings.Index(strings.ToLower(artifact), element) > 0
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
