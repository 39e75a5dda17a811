//go:build linux

package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"plimsoll/internal/fault"
	"plimsoll/internal/gate"
	"plimsoll/internal/profile"
	"plimsoll/internal/rootfs"
	"plimsoll/internal/seal"
	"plimsoll/internal/store"
)

// Containers runs images that a gate allowed.
type Containers struct {
	layers *rootfs.Store
	runner *seal.Runner
}

// Containers returns what runs containers on this host, or why it cannot: see
// [seal.NewRunner]. stage is the command line, name first, with which this
// program calls [seal.Stage]; started, if not nil, is told of each container
// that runs, and warn of what does not keep it from running.
func (s Settings) Containers(stage []string, started func(seal.Started), warn func(error)) (*Containers, error) {
	data, err := filepath.Abs(s.Data)
	for _, folder := range []string{data, filepath.Dir(s.IDs)} {
		if err == nil {
			err = os.MkdirAll(folder, 0o700)
		}
	}
	if err != nil {
		return nil, fault.As(fault.Unavailable, fmt.Errorf("folder of state: %w", err))
	}
	runner, err := seal.NewRunner(seal.Config{
		Data:    data,
		IDs:     store.NewRanges(store.RangesConfig{File: s.IDs}),
		Stage:   stage,
		Started: started,
		Warn:    warn,
	})
	if err != nil {
		return nil, err
	}
	layers, err := rootfs.NewStore(filepath.Join(data, "layers"))
	if err != nil {
		return nil, err
	}
	return &Containers{layers, runner}, nil
}

// Tidy puts away what killed runs left. It is done before a gate is asked: they
// may have filled the disk, and then no decision can be recorded.
func (c *Containers) Tidy(ctx context.Context) error {
	return errors.Join(c.runner.Collect(ctx), c.layers.Sweep())
}

// Unpack makes the layers of exactly the image that the answer is about ready to
// run; what is there already is not unpacked again. The answer must allow.
func (c *Containers) Unpack(ctx context.Context, a *gate.Answer) ([]rootfs.Layer, error) {
	if !a.Decision.Allowed() || a.Image == nil || a.Decision.Profile == nil || a.Decision.Manifest != a.Image.Manifest.Digest {
		return nil, fault.Errorf(fault.Denied, "the gate did not allow this image to a team")
	}
	if err := seal.Enforceable(a.Decision.Profile); err != nil {
		return nil, err
	}
	layers, err := c.layers.Unpack(ctx, a.Image, a.Image.Spec.RootFS.DiffIDs)
	if err != nil {
		err = fmt.Errorf("unpack %q: %w", a.Decision.Image, err)
		if errors.Is(err, syscall.ENOSPC) {
			err = fault.Hint(err, "free space: while no container runs, %s may be removed", c.layers.Folder())
		}
		return nil, err
	}
	return layers, nil
}

// Asked is what a person asks of one container, within what the decision's
// profile grants.
type Asked struct {
	Args, Env     []string
	Workdir, User string
	Mounts        []seal.Mount
}

// Run runs the image of an answer that allows, and returns its exit code: see
// [seal.Runner.Run], also for streams and signals.
func (c *Containers) Run(ctx context.Context, a *gate.Answer, layers []rootfs.Layer, asked Asked, streams seal.Streams, signals <-chan os.Signal) (int, error) {
	folders := make([]string, len(layers))
	for i, l := range layers {
		folders[i] = l.Folder
	}
	return c.runner.Run(ctx, request(a.Decision.Team, *a.Decision.Profile, a, asked), folders, streams, signals)
}

func request(team string, p profile.Profile, a *gate.Answer, asked Asked) seal.Request {
	c := &a.Image.Spec.Config
	return seal.Request{
		Team: team, Profile: p, Image: seal.Image{User: c.User, Env: c.Env, Entrypoint: c.Entrypoint, Cmd: c.Cmd, WorkingDir: c.WorkingDir},
		Args: asked.Args, Env: asked.Env, Workdir: asked.Workdir, User: asked.User, Mounts: asked.Mounts,
	}
}
