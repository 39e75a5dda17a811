//go:build linux

package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestRunScripts runs containers: it needs root and runc. In each script the
// folder root holds /a, the program of package seal's tests.
func TestRunScripts(t *testing.T) {
	lack := ""
	if os.Geteuid() != 0 {
		lack = "root"
	} else if _, err := exec.LookPath("runc"); err != nil {
		lack = "runc on PATH"
	}
	if lack != "" && os.Getenv("CI") == "true" {
		t.Fatalf("needs %s", lack)
	} else if lack != "" {
		t.Skipf("needs %s", lack)
	}
	program := filepath.Join(t.TempDir(), "a")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", program, "plimsoll/internal/seal/testdata/attacker")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/run",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PLIMSOLL_DATA", filepath.Join(env.WorkDir, "data"))
			env.Setenv("PLIMSOLL_IDS", filepath.Join(env.WorkDir, "ids.json"))
			env.Setenv("HOME", env.WorkDir)
			b, err := os.ReadFile(program)
			if err != nil {
				return err
			}
			root := filepath.Join(env.WorkDir, "root")
			if err := os.MkdirAll(root, 0o755); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(root, "a"), b, 0o755)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"mklayout": mklayout},
	})
}
