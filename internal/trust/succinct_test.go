package trust

import (
	"fmt"
	"testing"

	tuf "github.com/theupdateframework/go-tuf/v2/metadata"
)

// TestSuccinctOracle: go-tuf finds the same bin for the same path.
func TestSuccinctOracle(t *testing.T) {
	for bits := 1; bits <= 32; bits++ {
		ours := &succinct{Bits: bits, Prefix: "bin"}
		theirs := &tuf.SuccinctRoles{BitLength: bits, NamePrefix: "bin"}
		for i := range 50 {
			name := fmt.Sprintf("dir/file-%d", i)
			if got, want := ours.bin(name), theirs.GetRolesForTarget(name)[0].Name; got != want {
				t.Errorf("%d bits: %q is in %s, go-tuf says %s", bits, name, got, want)
			}
		}
	}
}

func TestGoPattern(t *testing.T) {
	for in, want := range map[string]string{
		"*.md": "*.md", "[!a]": "[^a]", "[a!]": "[a!]", "a!b": "a!b", `\[!a]`: `\[!a]`, "[ab][!c]?": "[ab][^c]?", "[": "[", "[!": "[^", `\`: `\`,
	} {
		if got := goPattern(in); got != want {
			t.Errorf("%q is read as %q, want %q", in, got, want)
		}
	}
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"release-[0-9].tgz", "release-7.tgz", true},
		{"release-[!0-9].tgz", "release-7.tgz", false},
		{"release-[!0-9].tgz", "release-x.tgz", true},
		{"a/[!b]", "a/c", true},
		{"a[!b]c", "a/c", false},
	} {
		if got := (&delegation{Paths: []string{tt.pattern}}).covers(tt.name); got != tt.want {
			t.Errorf("%q covers %q: %v", tt.pattern, tt.name, got)
		}
	}
}
