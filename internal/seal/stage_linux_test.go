package seal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSparedFromOutOfMemory: what a service was given against being killed when
// memory runs out is not handed on to its containers.
func TestSparedFromOutOfMemory(t *testing.T) {
	for have, want := range map[string]string{"-500\n": "0", "-1000\n": "0", "0\n": "0", "300\n": "300"} {
		file := filepath.Join(t.TempDir(), "oom_score_adj")
		if err := os.WriteFile(file, []byte(have), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := killable(file); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(file)
		if err != nil || !strings.HasPrefix(string(got), want) { // a plain file keeps the rest, procfs does not
			t.Errorf("%q became %q, %v; want %q", have, got, err, want)
		}
	}
}
