package inventory

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// openPaths returns the paths of the executables that nothing explains.
func openPaths(v *Inventory) (out []string) {
	for _, e := range v.Accounts.Open {
		out = append(out, e.Path)
	}
	return out
}

// TestHardLinkKeepsAProgramThatItsLayerRemoves: entries are unpacked in order, so
// a link that is made first keeps what a later entry takes away.
func TestHardLinkKeepsAProgramThatItsLayerRemoves(t *testing.T) {
	lower := layer("f bin/evil")
	lower.Files = append(lower.Files, machine("bin/evil", "1"))
	for _, test := range []struct {
		name  string
		upper *Facts
		want  []string
	}{
		{"whiteout", layer("h x = bin/evil", "w bin/evil"), []string{"x"}},
		{"overwritten", layer("h x = bin/evil", "f bin/evil"), []string{"x"}},
		{"opaque", layer("h x = bin/evil", "o bin"), []string{"x"}},
		{"through a link", layer("l sbin -> bin", "h x = sbin/evil", "w bin/evil"), []string{"x"}},
		{"left alone", layer("h x = bin/evil"), []string{"bin/evil", "x"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var v Inventory
			v.Merge([]*Facts{lower, test.upper}, nil)
			if diff := cmp.Diff(test.want, openPaths(&v)); diff != "" {
				t.Errorf("programs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHardLinkToNothingIsReported(t *testing.T) {
	for _, test := range []struct {
		name   string
		layers []*Facts
		want   []string
	}{
		{"in the layer", []*Facts{layer("f a/b", "h x = a/b")}, nil},
		{"in a lower layer", []*Facts{layer("f a/b"), layer("f c"), layer("h x = a/b")}, nil},
		{"through a deep link", []*Facts{layer("f a/b/c"), layer("h x = a/link/c")}, []string{`1 x: a hard link to "a/link/c", which no layer has under that name`}},
		{"in a later layer", []*Facts{layer("h x = a"), layer("f a")}, []string{`0 x: a hard link to "a", which no layer has under that name`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, unreadable(test.layers...)); diff != "" {
				t.Errorf("unreadable (-want +got):\n%s", diff)
			}
		})
	}
}

func TestManyIssuesAreCounted(t *testing.T) {
	f := &Facts{}
	for i := range maxIssues + 5 {
		f.Files = append(f.Files, File{Path: fmt.Sprintf("l%d", i), Hardlink: "nothing"})
	}
	got := unreadable(f)
	if len(got) != maxIssues+1 || !slices.Contains(got, "0 : 5 more links and files could not be looked at") {
		t.Errorf("%d parts are unreadable, the first %q", len(got), got[0])
	}
}

// TestHardLinksDoNotMultiplyPrograms: a name costs a layer few bytes, and an
// inventory many.
func TestHardLinksDoNotMultiplyPrograms(t *testing.T) {
	f := &Facts{Files: []File{machine("bin/x", "1")}}
	for i := range maxPrograms + 9 {
		f.Files = append(f.Files, File{Path: fmt.Sprintf("l%d", i), Hardlink: "bin/x"})
	}
	var v Inventory
	v.Merge([]*Facts{f}, nil)
	if v.Accounts.Files != maxPrograms || len(v.Unreadable) != 10 {
		t.Errorf("%d files are accounted for, %d are unreadable", v.Accounts.Files, len(v.Unreadable))
	}
}
