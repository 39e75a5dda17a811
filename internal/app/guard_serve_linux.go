package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"plimsoll/internal/engine"
	"plimsoll/internal/fault"
)

// ServeConfig says where a guard meets people and the engine.
type ServeConfig struct {
	GuardConfig
	Public string // socket for people, in the engine's former place
	Group  string // who may connect to it beside root; a group that is not there is nobody
	Log    *slog.Logger
	Ready  func(context.Context) error // called when every socket is there; may be nil
}

// ServeGuard opens a guard, serves the proxy, the plugin and the runtime's socket,
// and returns when ctx ends or one of them fails.
func (s Settings) ServeGuard(ctx context.Context, c ServeConfig) (err error) {
	if c.Run == "" {
		c.Run = RunFolder
	}
	nonces := engine.NewNonces()
	c.Vouch = nonces.Vouch
	g, err := s.Guard(ctx, c.GuardConfig)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close(context.WithoutCancel(ctx))) }()
	if err := os.MkdirAll(filepath.Dir(EngineSocket(c.Run)), 0o700); err != nil {
		return fault.As(fault.Unavailable, err)
	}
	proxy, err := engine.New(engine.Config{Engine: EngineSocket(c.Run), Guard: g, Nonces: nonces, Protected: s.protected(c.GuardConfig), Runtime: "plimsoll", Log: c.Log})
	if err != nil {
		return err
	}
	public, err := listenPublic(ctx, c.Public, c.Group)
	if err != nil {
		return err
	}
	defer public.Close()
	root, err := engine.ListenRoot(ctx, filepath.Join(c.Run, "plugin", "authz.sock"))
	if err != nil {
		return err
	}
	defer root.Close()
	plugin := &http.Server{
		Handler: engine.NewPlugin(nonces, func(ctx context.Context, r engine.Refusal) {
			if c.Log != nil {
				c.Log.LogAttrs(ctx, slog.LevelWarn, "the engine was asked round the guard", slog.String("method", r.Method), slog.String("uri", r.URI), slog.String("reason", r.Reason))
			}
		}),
		ReadHeaderTimeout: time.Minute,
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return g.Run(ctx) })
	group.Go(func() error { return proxy.Serve(ctx, public, "") })
	group.Go(func() error {
		if err := plugin.Serve(root); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("plugin: %w", err)
		}
		return nil
	})
	group.Go(func() error { <-ctx.Done(); return plugin.Close() })
	if c.Ready != nil {
		group.Go(func() error { return c.Ready(ctx) })
	}
	return group.Wait()
}

// listenPublic listens on the unix socket path, which root and the group may
// connect to. A socket that nobody listens on any more is replaced; one that
// somebody does is a Conflict: the engine was not moved, or there are two guards.
func listenPublic(ctx context.Context, path, group string) (net.Listener, error) {
	if c, err := new(net.Dialer).DialContext(ctx, "unix", path); err == nil {
		return nil, errors.Join(fault.Hint(fault.Errorf(fault.Conflict, "somebody listens on %q", path), "plimsoll guard doctor"), c.Close())
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != os.ModeSocket {
		return nil, fault.Errorf(fault.Conflict, "%q is there and is no socket", path)
	} else if err == nil {
		if err := os.Remove(path); err != nil {
			return nil, fault.As(fault.Unavailable, err)
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fault.Errorf(fault.Unavailable, "listen: %w", err)
	}
	mode, gid := os.FileMode(0o600), 0
	if entry, err := user.LookupGroup(group); err == nil {
		if gid, err = strconv.Atoi(entry.Gid); err != nil {
			return nil, errors.Join(fault.Errorf(fault.Internal, "group %q: %w", group, err), l.Close())
		}
		mode = 0o660
	}
	if err := errors.Join(os.Chown(path, os.Geteuid(), gid), os.Chmod(path, mode)); err != nil { // #nosec G302 -- people connect
		return nil, errors.Join(fault.As(fault.Unavailable, err), l.Close())
	}
	return l, nil
}
