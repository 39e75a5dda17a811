// Demo tells plimsoll's story on two real images: signed, scanned, judged, run
// sealed, recorded. Each command is shown before it runs, what it prints is what
// it printed, and each fact that is told is checked: the demo fails where one is
// not as told.
//
// It is run by make demo from the top of the checkout, with the programs that
// internal/tools/bootstrap has found in its environment.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGPIPE)
	err := tell(ctx, ".", os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "\ndemo: error: %v\n", err)
		os.Exit(1)
	}
}
