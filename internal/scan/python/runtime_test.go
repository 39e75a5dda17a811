package python

import (
	"slices"
	"strings"
	"testing"

	"plimsoll/internal/scan/scantest"
)

func TestRuntime(t *testing.T) {
	found, err := Runtime{}.Extract(t.Context(), scantest.File("usr/local/lib/python3.11/os.py", []byte(`r"""OS routines`)))
	if err != nil || len(found.Components) != 0 {
		t.Fatalf("%v, %v", found.Components, err)
	}
	got := owned(found)
	for _, want := range []string{"usr/local/bin/idle3.11", "usr/local/bin/python3.11-config", "usr/local/lib/python3.11/pdb.py", "usr/local/lib/python3.11/idlelib/"} {
		if !slices.Contains(got, want+" python generic") {
			t.Errorf("%s is not explained", want)
		}
	}
	if slices.ContainsFunc(got, func(s string) bool {
		return strings.Contains(s, "site-packages") || strings.Contains(s, "lib/python3.11/ ")
	}) {
		t.Errorf("it explains what others installed: %q", got)
	}
}

func TestRuntimeWants(t *testing.T) {
	for path, want := range map[string]bool{
		"usr/local/lib/python3.11/os.py":               true,
		"lib/python3.13t/os.py":                        true,
		"usr/local/lib/python3.11/site-packages/os.py": false,
		"app/os.py":                     false,
		"usr/lib/python3/os.py":         false,
		"usr/lib/python3.evil/os.py":    false,
		"usr/mylib/python3.11/os.py":    false,
		"usr/local/lib/python3.11/x.py": false,
	} {
		if scantest.Wants(Runtime{}, path, nil) != want {
			t.Errorf("%s: want %v", path, want)
		}
	}
}
