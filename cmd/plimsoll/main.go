// Plimsoll signs, scans and seals container images, and lets only those run
// that a policy allows.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"plimsoll/internal/cli"
)

func main() {
	cli.Inside()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
