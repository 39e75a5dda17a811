//go:build unix

package durable_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"plimsoll/internal/durable"
)

// A table that several processes change: each holds the lock from its reading to
// its writing.
func Example() {
	dir, err := os.MkdirTemp("", "durable")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "table")

	lock, err := durable.Acquire(context.Background(), file+".lock")
	if err != nil {
		log.Fatal(err)
	}
	other, err := durable.TryAcquire(file + ".lock")
	fmt.Println("somebody else holds it:", other == nil && err == nil)
	if err := durable.WriteFile(file, []byte("new"), 0o600); err != nil {
		log.Fatal(err)
	}
	if err := lock.Release(); err != nil {
		log.Fatal(err)
	}
	b, err := durable.ReadFile(file, 1024)
	fmt.Println(string(b), err)
	// Output:
	// somebody else holds it: true
	// new <nil>
}
