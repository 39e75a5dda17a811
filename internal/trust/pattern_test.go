package trust

import (
	"path"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// TestMatchPath: patterns cover what Python's fnmatch says that they do, which
// other clients of TUF ask; but for the backslash, which glob(7) takes for an
// escape.
func TestMatchPath(t *testing.T) {
	names := strings.Fields(`a b x ax bx ^x ]x -x \x * \* a\ [a a[ [ [] [!] a] ] !x é éx a/b [b c] [b/c]`)
	for pattern, want := range map[string]string{
		"*":      `a b x ax bx ^x ]x -x \x * \* a\ [a a[ [ [] [!] a] ] !x é éx [b c]`,
		"**":     `a b x ax bx ^x ]x -x \x * \* a\ [a a[ [ [] [!] a] ] !x é éx [b c]`,
		"?":      `a b x * [ ] é`,
		"a*":     `a ax a\ a[ a]`,
		"[a-c]x": `ax bx`,
		"[!a]x":  `bx ^x ]x -x \x !x éx`,
		"[^a]x":  `ax ^x`,
		"[!^]x":  `ax bx ]x -x \x !x éx`,
		"[a^]x":  `ax ^x`,
		"[]a]x":  `ax ]x`,
		"[!]a]x": `bx ^x -x \x !x éx`,
		"[a-]x":  `ax -x`,
		"[-a]x":  `ax -x`,
		"[z-a]x": ``,
		"[é-ë]x": `éx`,
		`[\]x`:   `\x`,
		"[[]":    `[`,
		"[]]":    `]`,
		"[a":     `[a`,
		"a[":     `a[`,
		"[":      `[`,
		"[]":     `[]`,
		"[!]":    `[!]`,
		"a]":     `a]`,
		`\*`:     `*`,
		`\[a`:    `[a`,
		`a\`:     `a\`,
		`\?`:     ``,
		"*/*":    `a/b [b/c]`,
		"[!a]/b": ``,
		"a[!x]b": ``,
		"[b/c]":  `[b/c]`,
		"[!b/c]": ``,
		"a?b":    ``,
	} {
		got := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !matchPath(pattern, n) })
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%q (-want +got):\n%s", pattern, diff)
		}
	}
}

// FuzzMatchPath: every text that JSON can hold is a pattern, none covers another number of folders
// than it has itself, and a text without wildcards covers itself alone.
func FuzzMatchPath(f *testing.F) {
	for _, p := range []string{"", "*", "a/[!b]*?", "[]a-z]", `\`, "[", "[!", "[a-", "[\xff-a]", "[[[]]"} {
		f.Add(p, "a/b")
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if _, err := path.Match(goPattern(pattern), name); err != nil && utf8.ValidString(pattern) {
			t.Fatalf("%q is read as %q, which is none", pattern, goPattern(pattern))
		}
		covers := matchPath(pattern, name)
		if covers && strings.Count(pattern, "/") != strings.Count(name, "/") {
			t.Errorf("%q covers %q", pattern, name)
		}
		if !strings.ContainsAny(pattern, `*?[\`) && covers != (pattern == name) {
			t.Errorf("%q covers %q: %v", pattern, name, covers)
		}
	})
}
