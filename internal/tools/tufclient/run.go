package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"plimsoll/internal/durable"
	"plimsoll/internal/trust"
	"plimsoll/internal/trust/httpstore"
)

const maxRoot = 1 << 20 // bytes

// options are the command line.
type options struct {
	metadataDir, metadataURL string
	targets                  []string
	targetURL, targetDir     string
	command                  []string
	now                      func(context.Context) (time.Time, error)
}

// run does what args say. now is asked for the time once.
func run(ctx context.Context, args []string, now func(context.Context) (time.Time, error)) error {
	o := &options{now: now}
	flags := flag.NewFlagSet("tufclient", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.metadataDir, "metadata-dir", "", "folder of the trusted metadata")
	flags.StringVar(&o.metadataURL, "metadata-url", "", "base URL of the repository's metadata")
	flags.Func("target-name", "path of a target; may be repeated", func(s string) error {
		o.targets = append(o.targets, s)
		return nil
	})
	flags.StringVar(&o.targetURL, "target-base-url", "", "base URL of the repository's targets")
	flags.StringVar(&o.targetDir, "target-dir", "", "folder for targets")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o.command = flags.Args()
	return o.run(ctx)
}

func (o *options) run(ctx context.Context) error {
	command := ""
	if len(o.command) > 0 {
		command = o.command[0]
	}
	switch n := len(o.command); {
	case o.metadataDir == "":
		return errors.New("--metadata-dir is missing")
	case command == "init" && n == 2:
		return o.start(ctx, o.command[1])
	case command == "refresh" && n == 1:
		return o.refresh(ctx, func(*trust.Trusted) error { return nil })
	case command == "download" && n == 1:
		return o.download(ctx)
	}
	return fmt.Errorf("unknown command %q: init ROOT, refresh or download", o.command)
}

// start makes the file at path the trusted root. It asks nobody.
func (o *options) start(ctx context.Context, path string) error {
	root, err := durable.ReadFile(path, maxRoot)
	if err != nil {
		return err
	}
	return trust.NewPlain(trust.PlainConfig{Dir: o.metadataDir}).Init(ctx, root)
}

// refresh brings the metadata up to date and lets use look at it.
func (o *options) refresh(ctx context.Context, use func(*trust.Trusted) error) error {
	files, err := httpstore.NewFiles(httpstore.Config{Base: o.metadataURL, Insecure: true})
	if err != nil {
		return fmt.Errorf("--metadata-url: %w", err)
	}
	now, err := o.now(ctx)
	if err != nil {
		return err
	}
	t, err := trust.NewPlain(trust.PlainConfig{Collection: files, Dir: o.metadataDir}).Refresh(ctx, now)
	if err != nil {
		return err
	}
	return errors.Join(use(t), t.Close())
}
