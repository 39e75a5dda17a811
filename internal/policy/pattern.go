package policy

import (
	"strings"

	"plimsoll/internal/ref"
)

func elements(p ref.Pattern) []string { return strings.Split(string(p), "/") }

// covers reports whether every name that q matches is matched by p. It errs on
// the side of no.
func covers(p, q []string) bool {
	switch {
	case len(p) == 0:
		return len(q) == 0
	case p[0] == "**":
		return covers(p[1:], q) || (len(q) > 0 && covers(p, q[1:]))
	case len(q) == 0 || q[0] == "**":
		return false
	case p[0] == "*" || p[0] == q[0]:
		return covers(p[1:], q[1:])
	}
	return false
}

// overlap reports whether there is a name that both match.
func overlap(p, q []string) bool {
	switch {
	case len(p) == 0 && len(q) == 0:
		return true
	case len(p) > 0 && p[0] == "**":
		return overlap(p[1:], q) || (len(q) > 0 && overlap(p, q[1:]))
	case len(q) > 0 && q[0] == "**":
		return overlap(q, p)
	case len(p) == 0 || len(q) == 0:
		return false
	case p[0] == "*" || q[0] == "*" || p[0] == q[0]:
		return overlap(p[1:], q[1:])
	}
	return false
}

// maxElements bounds a pattern: matching one against another takes time that
// grows with the number of ** in them.
const (
	maxElements  = 16
	maxWildcards = 3 // of **
)

// checkPattern returns p as [ref.ParsePattern] does and says what else is wrong.
func (d *decoder) checkPattern(path string, p ref.Pattern) {
	if _, err := ref.ParsePattern(string(p)); err != nil {
		d.fail(path, "%v", err)
		return
	}
	parts := elements(p)
	if host := parts[0]; !strings.ContainsAny(host, ".:*") && host != "localhost" {
		d.fail(path, "%q has no host: write it out, for instance docker.io/library/%s", p, p)
	}
	if dead(parts) {
		d.fail(path, "%q matches no repository: a name has a lower-case host without :443, a path without tag, and on docker.io library/ where it is an official image's", p)
	}
	if len(parts) > maxElements || strings.Count(string(p), "**") > maxWildcards {
		d.fail(path, "%q has more than %d elements or more than %d times **", p, maxElements, maxWildcards)
	}
}

// dead reports whether a pattern can match no repository's name as package ref
// normalises it: one that it seems to match has another name.
func dead(pattern []string) bool {
	name := make([]string, len(pattern))
	for i, e := range pattern {
		switch {
		case e == "*" && i == 0:
			e = "registry.example.com"
		case e == "**" && i == 0:
			e = "registry.example.com/x"
		case e == "*":
			e = "x"
		case e == "**":
			e = "x/x"
		}
		name[i] = e
	}
	g, err := ref.ParseGUN(strings.Join(name, "/"))
	return err != nil || !ref.Pattern(strings.Join(pattern, "/")).Match(g)
}
