package inventory

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRemoved: what a layer took away is not there, and not forgotten.
func TestRemoved(t *testing.T) {
	base := layer("d a", "f a/x one@1", "f a/b/y two@1", "f c/z three@1")
	for _, test := range []struct {
		name   string
		layers []*Facts
		want   []string
	}{
		{"nothing", []*Facts{base, layer("f n")}, nil},
		{"whiteout", []*Facts{base, layer("w a/x")}, []string{"one@1: 0 a/x (removed in 1)"}},
		{"whiteout of a directory", []*Facts{base, layer("f q"), layer("w a")}, []string{"one@1: 0 a/x (removed in 2)", "two@1: 0 a/b/y (removed in 2)"}},
		{"opaque directory", []*Facts{base, layer("o c")}, []string{"three@1: 0 c/z (removed in 1)"}},
		{"overwritten", []*Facts{base, layer("f a/x one@2")}, []string{"one@1: 0 a/x (replaced in 1)"}},
		{"overwritten by something unknown", []*Facts{base, layer("f a/x")}, []string{"one@1: 0 a/x (replaced in 1)"}},
		{"file in place of a directory", []*Facts{base, layer("f a")}, []string{"one@1: 0 a/x (replaced in 1)", "two@1: 0 a/b/y (replaced in 1)"}},
		{"moved", []*Facts{base, layer("w a/x", "f m one@1")}, nil},
		{"updated in a database", []*Facts{layer("f db one@1 two@1"), layer("f db one@2 two@1"), layer("f db two@1")}, []string{"one@1: 0 db (replaced in 1)", "one@2: 1 db (replaced in 2)"}},
		{"twice", []*Facts{layer("f db one@1"), layer("w db"), layer("f db one@1"), layer("w db")}, []string{"one@1: 0 db (removed in 1), 2 db (removed in 3)"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := &Inventory{}
			v.Merge(test.layers, nil)
			if diff := cmp.Diff(test.want, listed(v.Removed)); diff != "" {
				t.Errorf("removed (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLockFilesShipNoCode: what somebody meant to install is not a removed
// component.
func TestLockFilesShipNoCode(t *testing.T) {
	lock := layer("f app/package-lock.json a@1")
	lock.Files[0].Found[0].Unless = "app/node_modules"
	v := &Inventory{}
	v.Merge([]*Facts{lock, layer("w app/package-lock.json")}, nil)
	if len(v.Removed) > 0 {
		t.Errorf("removed: %v", listed(v.Removed))
	}
}
