//go:build linux

// Plimsoll-runtime is an OCI runtime that seals the containers of an engine, and
// leaves the rest to runc or crun.
package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"

	"plimsoll/internal/shim"
)

// init keeps main on the process's first thread, whose namespaces and
// credentials are the ones that /proc/self tells of.
func init() { runtime.LockOSThread() }

// memory is what a call takes at most before what it no longer needs is looked
// for, in bytes: most end long before.
const memory = 128 << 20

func main() {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(memory)
	os.Exit(shim.Main(context.Background(), os.Args[1:], os.Stderr))
}
