// Harbour builds the images that the demo, the end-to-end test and the benchmark
// use, from real packages and without being root: layers are written straight
// from Debian's packages, a Go program, npm packages and Python packages.
//
//	harbour CACHE IMAGE...
//
// writes the images (old, new, unsigned, altered, foreign, big, …) as tags of the
// OCI layout CACHE/harbour. Equal packages give equal digests; what has been
// built is not built again. The images known and known-rpm come with lists of what
// is in them, CACHE/harbour/known.tsv and known-rpm.tsv.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"plimsoll/internal/tools/debian"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: harbour CACHE IMAGE...")
		os.Exit(2)
	}
	if err := run(ctx, os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "harbour: error: %v\n", err)
		os.Exit(1)
	}
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "harbour: "+format+"\n", args...)
}

func run(ctx context.Context, cache string, names []string) error {
	cache, err := filepath.Abs(cache)
	if err != nil {
		return fmt.Errorf("find cache: %w", err)
	}
	machine, err := debian.ThisMachine(ctx)
	if err != nil {
		return err
	}
	l, err := openLayout(filepath.Join(cache, "harbour"))
	if err != nil {
		return err
	}
	b := &builder{cache: cache, machine: machine, layout: l}
	for _, name := range names {
		if _, ok := known[name]; ok {
			if err := b.knownImage(ctx, name); err != nil {
				return fmt.Errorf("build %s: %w", name, err)
			}
			continue
		}
		r, ok := recipes[name]
		if !ok {
			return fmt.Errorf("no recipe for %q", name)
		}
		if err := b.build(ctx, name, r); err != nil {
			return fmt.Errorf("build %s: %w", name, err)
		}
	}
	return nil
}
