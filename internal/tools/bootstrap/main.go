// Bootstrap brings the programs that plimsoll's tests and demo need beside Go:
// runc, SoftHSM, a virtual card reader, a C compiler, npm. What is on PATH is used; what is not is taken
// from the machine's own archive as packages and unpacked into a private folder.
// Nothing is installed.
//
//	bootstrap CACHE
//
// It writes CACHE/tools/env, to be sourced by a shell.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: bootstrap CACHE")
		os.Exit(2)
	}
	if err := run(ctx, os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "tools: error: %v\n", err)
		os.Exit(1)
	}
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "tools: "+format+"\n", args...)
}
