// Tufclient is the consumer's side of trust as a client of any TUF repository. It
// speaks the command line of the public conformance suite tuf-conformance:
//
//	tufclient --metadata-dir DIR init ROOT
//	tufclient --metadata-dir DIR --metadata-url URL refresh
//	tufclient --metadata-dir DIR --metadata-url URL --target-name PATH…
//	          --target-base-url URL --target-dir DIR download
//
// It ends with 0 if all was done and with 1 otherwise. All that it verifies is
// verified by the package trust, which verifies images too.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], dateCommand)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "tufclient: error: %v\n", err)
		os.Exit(1)
	}
}
