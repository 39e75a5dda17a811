//go:build linux

// Plimsoll-runtime is an OCI runtime that seals the containers of an engine, and
// leaves the rest to runc or crun.
package main

import (
	"context"
	"os"
	"runtime"

	"plimsoll/internal/shim"
)

// init keeps main on the process's first thread, whose namespaces and
// credentials are the ones that /proc/self tells of.
func init() { runtime.LockOSThread() }

func main() {
	os.Exit(shim.Main(context.Background(), os.Args[1:], os.Stderr))
}
