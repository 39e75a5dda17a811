package main

import (
	"fmt"
	"slices"
	"strings"
)

// An item is a package, or native code in a file.
type item struct {
	name    string // package URL without version and qualifiers, or the product
	version string
	path    string // of native code
}

func (i item) String() string {
	s := i.name + " " + i.version
	if i.path != "" {
		s += " in " + i.path
	}
	return s
}

// samePackage reports whether a reported package is the one that is there. The
// group of a Java library that does not state it cannot be known, so it is not
// compared; nor is the version of a Go main module that was built from a folder.
func samePackage(there, reported item) bool {
	if strings.HasPrefix(there.name, "pkg:maven/") && strings.HasPrefix(reported.name, "pkg:maven/") {
		return base(there.name) == base(reported.name) && there.version == reported.version
	}
	return there.name == reported.name && (there.version == "" || there.version == reported.version)
}

func base(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// sameNative reports whether reported native code is the one that is there. A
// distribution's version of it says more than upstream's, which must be in it.
func sameNative(there, reported item) bool {
	version := reported.version
	if _, rest, ok := strings.Cut(version, ":"); ok {
		version = rest
	}
	if version != there.version {
		rest, ok := strings.CutPrefix(version, there.version)
		if !ok || !strings.ContainsAny(rest[:1], "-+~.") {
			return false
		}
	}
	return there.name == reported.name && there.path == reported.path
}

// A result is the comparison of two lists.
type result struct {
	there, reported int
	missed, wrong   []item
}

// score compares what is there with what was reported.
func score(there, reported []item, same func(there, reported item) bool) result {
	r := result{there: len(there), reported: len(reported)}
	for _, t := range there {
		if !slices.ContainsFunc(reported, func(f item) bool { return same(t, f) }) {
			r.missed = append(r.missed, t)
		}
	}
	for _, f := range reported {
		if !slices.ContainsFunc(there, func(t item) bool { return same(t, f) }) {
			r.wrong = append(r.wrong, f)
		}
	}
	return r
}

func (r *result) recall() float64 { return part(r.there-len(r.missed), r.there) }

// precision is 1 for who reports nothing: nothing of it is wrong.
func (r *result) precision() float64 { return part(r.reported-len(r.wrong), r.reported) }

func part(n, of int) float64 {
	if of == 0 {
		return 1
	}
	return float64(n) / float64(of)
}

func (r result) String() string {
	return fmt.Sprintf("%d of %d\t%.3f\t%.3f", r.there-len(r.missed), r.there, r.recall(), r.precision())
}

// mistakes lists what was missed and what is wrong.
func (r *result) mistakes(name string) (out []string) {
	for _, i := range r.missed {
		out = append(out, fmt.Sprintf("%s: missed: %s", name, i))
	}
	for _, i := range r.wrong {
		out = append(out, fmt.Sprintf("%s: wrong:  %s", name, i))
	}
	return out
}
