package main

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestQuotingRoleNames: a role's name is one element of a URL and the name of one
// file, whatever it is.
func TestQuotingRoleNames(t *testing.T) {
	for role, quoted := range map[string]string{
		"?":                  "%3F",
		"#":                  "%23",
		"%":                  "%25",
		"%2F":                "%252F",
		"/delegated":         "%2Fdelegated",
		"../delegated":       "..%2Fdelegated",
		"../../etc/passwd":   "..%2F..%2Fetc%2Fpasswd",
		"..":                 "..",
		".":                  ".",
		"a b":                "a%20b",
		"a:b@c&d=e+f$g;h,i!": "a%3Ab%40c%26d%3De%2Bf%24g%3Bh%2Ci%21",
		"Ünïcode":            "%C3%9Cn%C3%AFcode",
		`back\slash`:         "back%5Cslash",
	} {
		t.Run(quoted, func(t *testing.T) {
			r := newRepo(t)
			c := newClient(r)
			r.delegate("targets", role, nil)
			r.add(role, "file", "content")
			r.publish(role, "targets", "snapshot", "timestamp")
			c.must(c.download("file"))
			if got := r.asked()[4]; got != quoted+" 1" {
				t.Errorf("asked for %q", got)
			}
			names, err := filepath.Glob(filepath.Join(c.meta, "*.json"))
			c.must(err)
			if len(names) != 5 || !slices.Contains(names, filepath.Join(c.meta, quoted+".json")) {
				t.Errorf("the folder holds %q", names)
			}
		})
	}
}

func TestQuotingControlCharacters(t *testing.T) {
	for _, role := range []string{"a\nb", "a\x00b", "a\u0085b"} {
		r := newRepo(t)
		c := newClient(r)
		r.delegate("targets", role, nil)
		r.publish("targets", "snapshot", "timestamp")
		c.refused(c.refresh(), "not a delegated role's name")
	}
}

// TestQuotingTargetPaths: folders in a target's path are folders in the URL, and
// never outside the folder of targets.
func TestQuotingTargetPaths(t *testing.T) {
	for _, path := range []string{"dir/sub/file", "a b", "a?b#c", "../outside", "/etc/absolute", "per%cent", "Ünï/code"} {
		t.Run(url.PathEscape(path), func(t *testing.T) {
			r := newRepo(t)
			c := newClient(r)
			r.add("targets", path, "content of "+path)
			r.publish("targets", "snapshot", "timestamp")
			c.targets = filepath.Join(c.targets, "inner")
			c.must(os.Mkdir(c.targets, 0o700))
			c.must(c.download(path))
			c.has("content of " + path)
			if outer, err := os.ReadDir(filepath.Dir(c.targets)); err != nil || len(outer) != 1 {
				t.Errorf("outside lies %v, %v", outer, err)
			}
		})
	}
}
