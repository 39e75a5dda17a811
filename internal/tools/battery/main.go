//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"plimsoll/internal/tools/engines"
)

// tablePath is where the table is kept, below the module's folder.
const tablePath = "docs/sealed-attacks.md"

func main() {
	table := flag.Bool("table", false, "write the table to "+tablePath)
	only := flag.String("only", "", "try only these rows, separated by commas")
	names := flag.String("on", plain+","+remap+","+sealed+","+guarded, "set-ups")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *table, *only, strings.Split(*names, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "battery:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, table bool, only string, names []string) error {
	if missing := engines.Missing(); len(missing) > 0 {
		return fmt.Errorf("missing: %v", missing)
	}
	list := attacks
	if only != "" {
		list = nil
		for _, a := range attacks {
			if strings.Contains(","+only+",", ","+a.id+",") {
				list = append(list, a)
			}
		}
	}
	say := func(format string, args ...any) { fmt.Fprintf(os.Stdout, format+"\n", args...) }
	setups, closing, err := start(ctx, ".", say, names...)
	defer closing() //nolint:errcheck // again below
	if err != nil {
		return err
	}
	rows := battle(ctx, list, setups, say)
	if table {
		if err := os.WriteFile(tablePath, []byte(page(list, rows)), 0o644); err != nil {
			return fmt.Errorf("write table: %w", err)
		}
	}
	return closing()
}

// start starts set-ups. What is returned ends them, also after an error.
func start(ctx context.Context, source string, say func(string, ...any), names ...string) ([]*setup, func() error, error) {
	source, err := filepath.Abs(source)
	if err != nil {
		return nil, func() error { return nil }, fmt.Errorf("find module: %w", err)
	}
	dir, err := os.MkdirTemp("", "battery-")
	if err != nil {
		return nil, func() error { return nil }, fmt.Errorf("make folder: %w", err)
	}
	var setups []*setup
	closing := func() error {
		errs := []error{os.RemoveAll(dir)}
		for _, s := range setups {
			errs = append(errs, s.close())
		}
		return errors.Join(errs...)
	}
	l, err := newLab(ctx, source, dir, say)
	if err != nil {
		return nil, closing, err
	}
	for _, name := range names {
		s, err := l.setup(ctx, name)
		if err != nil {
			return setups, closing, fmt.Errorf("start %s: %w", name, err)
		}
		setups = append(setups, s)
	}
	return setups, closing, nil
}
