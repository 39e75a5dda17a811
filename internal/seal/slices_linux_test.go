package seal

import (
	"os"
	"path/filepath"
	"testing"

	"plimsoll/internal/fault"
	"plimsoll/internal/profile"
)

func TestSlicePath(t *testing.T) {
	for slice, want := range map[string]string{
		`plimsoll-team.slice`:   `plimsoll.slice/plimsoll-team.slice`,
		`plimsoll-a\x2db.slice`: `plimsoll.slice/plimsoll-a\x2db.slice`,
		`plimsoll-a-b.slice`:    `plimsoll.slice/plimsoll-a.slice/plimsoll-a-b.slice`,
		`plimsoll.slice`:        `plimsoll.slice`,
		`-.slice`:               "", `x--y.slice`: "", `x-.slice`: "", `x`: "", `.slice`: "", `a/b.slice`: "",
	} {
		got, err := slicePath(slice)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v; want %q", slice, got, err, want)
		}
	}
}

func TestSliceHolds(t *testing.T) {
	total := profile.Share{CPUs: 1.5, Memory: 64 << 20, PIDs: 100}
	good := map[string]string{"cpu.max": "150000 100000\n", "memory.max": "67108864\n", "memory.swap.max": "0\n", "pids.max": "100\n"}
	for name, change := range map[string]map[string]string{
		"as it must be":      {},
		"less":               {"cpu.max": "10000 100000\n", "memory.max": "4096\n", "pids.max": "1\n"},
		"no cpu limit":       {"cpu.max": "max 100000\n"},
		"a longer quota":     {"cpu.max": "150000 50000\n"},
		"no memory limit":    {"memory.max": "max\n"},
		"more memory":        {"memory.max": "67112960\n"},
		"swap":               {"memory.swap.max": "max\n"},
		"no pids limit":      {"pids.max": "max\n"},
		"more pids":          {"pids.max": "101\n"},
		"not a number":       {"pids.max": "many\n"},
		"empty":              {"cpu.max": ""},
		"no such controller": {"pids.max": "-"},
	} {
		tree := t.TempDir()
		dir := filepath.Join(tree, "plimsoll.slice", "plimsoll-team.slice")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for file, text := range good {
			if other, ok := change[file]; ok {
				text = other
			}
			if text == "-" {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		err := (&Cgroups{unified: tree}).CheckSlice("plimsoll-team.slice", total)
		if want := name == "as it must be" || name == "less"; (err == nil) != want || err != nil && !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	tree := t.TempDir()
	for slice, c := range map[string]*Cgroups{"plimsoll-none.slice": {unified: tree}, "plimsoll-team.slice": {v1: map[string]string{"pids": tree}}} {
		if err := c.CheckSlice(slice, total); !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v", slice, err)
		}
		if err := c.CheckSlice(slice, profile.Share{Storage: 1}); err != nil {
			t.Errorf("nothing to hold: %v", err)
		}
	}
}
