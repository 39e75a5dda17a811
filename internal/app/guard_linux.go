package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"plimsoll/internal/agent"
	"plimsoll/internal/audit"
	"plimsoll/internal/fault"
	"plimsoll/internal/gate"
	"plimsoll/internal/image"
	"plimsoll/internal/profile"
	"plimsoll/internal/seal"
	"plimsoll/internal/seal/apparmor"
	"plimsoll/internal/seal/egress"
	"plimsoll/internal/seal/quota"
	"plimsoll/internal/store"
)

// GuardConfig says what the guard of a host watches over.
type GuardConfig struct {
	// Run is the folder of its sockets, "" means /run/plimsoll.
	Run string
	// Docker is the folder of the Docker engine's state, and Containerd that of
	// containerd; "" if the host has none. Systemd says that the engine lets systemd
	// make its cgroups.
	Docker, Containerd string
	Podman             image.Podman // without a Root there is none
	Systemd            bool
	// Cache is for how long an answer may be repeated; 0 means five minutes.
	Cache time.Duration
	// Enforceable says why the runtime and the engine could not hold a container
	// to a profile; nil: [GuardConfig.SealedEnforceable].
	Enforceable func(*profile.Profile) error
	// Vouch wraps what the guard's own requests to the engine go through; may be nil.
	Vouch func(http.RoundTripper) http.RoundTripper
	Warn  func(error) // may be called concurrently; nil: nobody is told
}

// RunFolder is where the guard's sockets are.
const RunFolder = "/run/plimsoll"

// Guard is what a host's doors ask: its memory, the gate and the runtime's socket.
// It implements engine.Guard, and may be used concurrently.
type Guard struct {
	agent  *agent.Agent
	server *agent.Server
	laws   *laws
	log    *audit.Log
	packs  *livePacks
	memory *agent.Memory
	engine string // socket
	config GuardConfig
}

// EngineSocket is where the engine listens once the guard has taken its place,
// below run.
func EngineSocket(run string) string { return filepath.Join(run, "engine", "docker.sock") }

// RuntimeSocket is where the runtime asks, below run.
func RuntimeSocket(run string) string { return filepath.Join(run, "runtime", "guard.sock") }

// Guard opens the guard and listens for the runtime; [Guard.Run] answers. The
// caller closes it. Only one guard of a host can be open.
func (s Settings) Guard(ctx context.Context, c GuardConfig) (_ *Guard, err error) {
	if c.Run == "" {
		c.Run = RunFolder
	}
	if c.Warn == nil {
		c.Warn = func(error) {}
	}
	if c.Enforceable == nil {
		c.Enforceable = c.SealedEnforceable
	}
	g := &Guard{config: c, engine: EngineSocket(c.Run)}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close(context.WithoutCancel(ctx)))
		}
	}()
	if err := os.MkdirAll(s.Data, 0o700); err != nil {
		return nil, fault.As(fault.Unavailable, fmt.Errorf("folder of state: %w", err))
	}
	if g.memory, err = agent.OpenMemory(ctx, filepath.Join(s.Data, "guard")); err != nil {
		return nil, err
	}
	if err := g.openLaws(ctx, s); err != nil {
		return nil, err
	}
	images := g.images(s)
	g.agent = agent.New(agent.Config{
		Memory: g.memory, Ranges: store.NewRanges(store.RangesConfig{File: s.IDs}), Law: g.laws.now, Cache: c.Cache,
		Docker: c.Docker, Containerd: c.Containerd, Podman: c.Podman, Systemd: c.Systemd, Slices: new(agent.Systemd), Protected: s.protected(c), Warn: c.Warn,
		Layers: func(ctx context.Context, name string) (image.Blobs, error) {
			m, err := images.Open(ctx, name, "")
			if err != nil {
				return nil, err
			}
			return m.Blobs, nil
		},
	})
	if apparmor.Available() {
		if err := apparmor.Load(ctx); err != nil { // the other fences stand without it
			c.Warn(err)
		}
	}
	g.server, err = agent.Listen(agent.ServerConfig{Socket: RuntimeSocket(c.Run), Agent: g.agent, Warn: c.Warn})
	return g, err
}

// openLaws opens what the gate needs.
func (g *Guard) openLaws(ctx context.Context, s Settings) error {
	makers, err := s.TokenMakers()
	if err != nil {
		return err
	}
	scanner, err := s.Scanner(false, g.config.Warn)
	if err != nil {
		return err
	}
	if g.log, err = s.AuditLog(ctx); err != nil {
		return err
	}
	g.packs = &livePacks{open: s.Advisories, file: filepath.Join(s.AdvisoriesDir(), "index.json")}
	g.laws = &laws{path: s.Policy, config: gate.Config{
		Images: g.images(s), Truster: Truster{s.Trust(nil).Client}, Accepter: Accepter{s.Registry()}, Scanner: scanner, Matcher: g.packs,
		Recorder: g.log, Attestation: makers, Enforceable: func(p profile.Profile) error { return g.config.Enforceable(&p) },
	}}
	return nil
}

// images opens images of registries and of the engine behind the guard.
func (g *Guard) images(s Settings) *image.Opener {
	return &image.Opener{Registry: s.Registry(), Engine: "unix://" + g.engine, Vouch: g.config.Vouch, Containerd: g.config.Containerd}
}

// protected are the paths that no container may mount, beside those that package
// seal always refuses: where this host keeps other people's things.
func (s Settings) protected(c GuardConfig) []string {
	var all []string
	for _, p := range []string{c.Run, c.Docker, c.Containerd, c.Podman.Root, c.Podman.Run, s.Data, filepath.Dir(s.IDs), filepath.Dir(s.Policy), "/etc/docker"} {
		if p = filepath.Clean(p); filepath.IsAbs(p) && p != "/" {
			all = append(all, p)
		}
	}
	return all
}

// SealedEnforceable says why a container behind the runtime could not be held to
// the profile p on this host. What it refuses the runtime would refuse too, later
// and to somebody who cannot change it. The error is Denied.
func (c GuardConfig) SealedEnforceable(p *profile.Profile) error {
	err := seal.Sealable(p)
	if err == nil {
		err = egress.Compatible(p)
	}
	if err == nil && c.Docker != "" && (p.Total.Storage != 0 || p.Storage != 0 && !p.ReadOnly) {
		if err = quota.Supported(c.Docker); err != nil {
			err = fmt.Errorf("the profile's storage cannot be enforced: %w", err)
		}
	}
	if err == nil && c.Docker != "" && p.IOWeight != 0 {
		err = seal.Weighs(c.Docker)
	}
	return fault.As(fault.Denied, err)
}

// Problem returns why there is no policy, nil if there is one. Without one
// everybody is denied.
func (g *Guard) Problem() error { return g.laws.problem() }

// Times between what Run does by itself.
const (
	publishEvery = 5 * time.Minute
	sweepEvery   = 10 * time.Minute
)

// Run answers the runtime, publishes the audit log and collects what is gone,
// until ctx ends.
func (g *Guard) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return g.server.Run(ctx) })
	group.Go(func() error { return g.every(ctx, publishEvery, g.log.Publish) })
	group.Go(func() error { return g.every(ctx, sweepEvery, g.Sweep) })
	return group.Wait()
}

// every calls fn again and again. What goes wrong is told and tried again.
func (g *Guard) every(ctx context.Context, pause time.Duration, fn func(context.Context) error) error {
	t := time.NewTicker(pause)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			if err := fn(ctx); err != nil && ctx.Err() == nil {
				g.config.Warn(err)
			}
		}
	}
}

// Sweep forgets what the engine does not have any more, gives IDs back that
// nobody runs with, and puts away grants of containers that no runtime knows. If the engine does not answer only the latter is done.
func (g *Guard) Sweep(ctx context.Context) error {
	alive, err := engineHas(ctx, g.engine)
	if err != nil {
		alive = agent.Alive{}
	}
	return errors.Join(err, g.agent.Sweep(ctx, alive), seal.Grants{Folder: filepath.Join(g.config.Run, "containers")}.SweepAll())
}

// Close publishes what was recorded and closes. It does so even if ctx has ended.
func (g *Guard) Close(ctx context.Context) error {
	var all []error
	if g.packs != nil {
		all = append(all, g.packs.Close())
	}
	if g.log != nil {
		all = append(all, g.log.Close(context.WithoutCancel(ctx)))
	}
	if g.memory != nil {
		all = append(all, g.memory.Close())
	}
	return errors.Join(all...)
}
