package envelope_test

import (
	"os"
	"os/exec"
	"testing"
)

// TestOtherPeoplesReaders runs the tests of internal/tools/interop, in which
// sigstore-go and notation-go read what we write and we read what they write.
// They are a module of their own.
func TestOtherPeoplesReaders(t *testing.T) {
	if testing.Short() {
		t.Skip("short: builds the libraries of other readers")
	}
	run := func(args ...string) ([]byte, error) {
		cmd := exec.CommandContext(t.Context(), "go", args...) // #nosec G204 -- a test's own words
		cmd.Dir = "../../tools/interop"
		return cmd.CombinedOutput()
	}
	if out, err := run("list", "-deps", "-test", "./..."); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the modules of other readers: %v\n%s", err, out)
		}
		t.Skipf("the modules of other readers cannot be had here: %v\n%s", err, out)
	}
	if out, err := run("test", "./..."); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
