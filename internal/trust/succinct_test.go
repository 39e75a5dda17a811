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

// TestSuccinctBins: where other clients' tests expect these paths.
func TestSuccinctBins(t *testing.T) {
	for _, tt := range []struct {
		bits      int
		path, bin string
	}{
		{1, "boo", "bin-0"},
		{1, "too", "bin-1"},
		{2, "foo", "bin-0"},
		{2, "doo", "bin-1"},
		{2, "too", "bin-2"},
		{2, "bar", "bin-3"},
		{8, "bar", "bin-fc"},
	} {
		if got := (&succinct{Bits: tt.bits, Prefix: "bin"}).bin(tt.path); got != tt.bin {
			t.Errorf("%d bits: %q is in %s, want %s", tt.bits, tt.path, got, tt.bin)
		}
	}
}

// TestSuccinctIsNotOurs: a collection of ours lists its roles.
func TestSuccinctIsNotOurs(t *testing.T) {
	w := newWorld(t)
	f := w.files()
	w.forge(f, "1.targets.json", func(s map[string]any) {
		k := w.keys["targets"].key
		s["delegations"] = map[string]any{
			"keys":           map[string]any{k.ID: k.encode()},
			"succinct_roles": map[string]any{"keyids": []any{k.ID}, "threshold": 1, "bit_length": 4, "name_prefix": "bin"},
		}
	}, "targets")
	w.relink(f, 2, map[string]int64{RoleTargets: 1})
	w.refused(w.refresh(f), "succinct_roles")
}
