package main

import (
	"os"
	"testing"
)

// TestStory tells the whole story; every fact in it is checked. It needs
// bin/plimsoll and the images, which make test brings, and root for one part.
func TestStory(t *testing.T) {
	if os.Getenv("PLIMSOLL_DEMO") == "" {
		t.Skip("PLIMSOLL_DEMO is not set: make test sets it once it has built the images")
	}
	if os.Getuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("part 5 of the story needs root: sudo make test")
	}
	if err := tell(t.Context(), "../../..", t.Output()); err != nil {
		t.Fatal(err)
	}
}
