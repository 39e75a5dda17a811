package engine

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// TestUnfinishedFileIsRemoved: on file systems without files that have no name,
// what could not be written whole does not stay either.
func TestUnfinishedFileIsRemoved(t *testing.T) {
	name := t.TempDir()
	dir, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	fd := int(dir.Fd())
	broken := errors.New("broken")
	err = writeNamed(fd, "half", io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) {
		t.Errorf("a broken body: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(name, "half")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was written of it: %v", err)
	}
	if err := writeNamed(fd, "whole", strings.NewReader("whole")); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(name, "whole")); err != nil || string(got) != "whole" {
		t.Errorf("a whole body: %q, %v", got, err)
	}
	if err := os.Symlink("whole", filepath.Join(name, "link")); err != nil {
		t.Fatal(err)
	}
	if err := writeNamed(fd, "link", strings.NewReader("through")); !errors.Is(err, os.ErrExist) {
		t.Errorf("through a link: %v", err)
	}
}
