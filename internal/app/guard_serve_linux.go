package app

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"plimsoll/internal/engine"
	"plimsoll/internal/fault"
	"plimsoll/internal/verdict"
)

// ServeConfig says where a guard meets people and the engine.
type ServeConfig struct {
	GuardConfig
	Public string // socket for people, in the engine's former place
	Group  string // who may connect to it beside root; a group that is not there is nobody
	TLS    TLSConfig
	Log    *slog.Logger
	Ready  func(context.Context) error // called when every socket is there; may be nil
}

// TLSConfig says where and how people are served over a network; callers are the
// subjects of their certificates. Nobody is, if Listen is "".
type TLSConfig struct {
	Listen    string // host:port
	Cert, Key string // PEM files of the server
	ClientCA  string // PEM file of the authorities whose certificates are people's
}

// serving is a guard with its doors.
type serving struct {
	*Guard
	serve  ServeConfig
	proxy  *engine.Proxy
	nonces *engine.Nonces
}

// ServeGuard opens a guard, serves the proxy, the plugin and the runtime's socket,
// and returns when ctx ends or one of them fails.
func (s Settings) ServeGuard(ctx context.Context, c ServeConfig) (err error) {
	if c.Run == "" {
		c.Run = RunFolder
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if err := makeFolders(c.Run); err != nil {
		return err
	}
	nonces := engine.NewNonces()
	c.Vouch = nonces.Vouch
	g, err := s.Guard(ctx, c.GuardConfig)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close(context.WithoutCancel(ctx))) }()
	d := &serving{Guard: g, serve: c, nonces: nonces}
	d.proxy, err = engine.New(engine.Config{Engine: EngineSocket(c.Run), Guard: g, Nonces: nonces, Protected: s.protected(c.GuardConfig), Runtime: "plimsoll", Log: c.Log}) //nolint:contextcheck // a request bears its context
	if err != nil {
		return err
	}
	return d.doors(ctx)
}

// makeFolders makes the guard's folders, whoever started it. The engine's is
// root's alone, so that the mode which an engine gives its socket does not matter.
func makeFolders(run string) error {
	for _, f := range []struct {
		path string
		mode os.FileMode
	}{{run, 0o711}, {filepath.Dir(EngineSocket(run)), 0o700}, {filepath.Join(run, "teams"), 0o711}} {
		if err := os.MkdirAll(f.path, f.mode); err != nil {
			return fault.As(fault.Unavailable, err)
		}
		info, err := os.Lstat(f.path)
		if err != nil {
			return fault.As(fault.Unavailable, err)
		}
		if st, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(st.Uid) != os.Geteuid() {
			return fault.Errorf(fault.Conflict, "%q is not a folder of the guard's own user", f.path)
		}
		if err := os.Chmod(f.path, f.mode); err != nil {
			return fault.As(fault.Unavailable, err)
		}
	}
	socket := EngineSocket(run)
	if info, err := os.Lstat(socket); err == nil && info.Mode().Type() == os.ModeSocket {
		return fault.As(fault.Unavailable, os.Chmod(socket, 0o600))
	}
	return nil
}

// doors opens every door and serves until ctx ends or one of them fails.
func (d *serving) doors(ctx context.Context) error {
	public, err := listenPublic(ctx, d.serve.Public, d.serve.Group)
	if err != nil {
		return err
	}
	defer public.Close()
	root, err := engine.ListenRoot(ctx, filepath.Join(d.serve.Run, "plugin", "authz.sock"))
	if err != nil {
		return err
	}
	defer root.Close()
	group, ctx := errgroup.WithContext(ctx)
	if d.serve.TLS.Listen != "" {
		l, c, err := d.serve.TLS.listen(ctx)
		if err != nil {
			return err
		}
		defer l.Close()
		group.Go(func() error { return d.proxy.ServeTLS(ctx, l, "", c) })
	}
	teams := newTeamDoors(d)
	if err := teams.sync(ctx); err != nil {
		return err
	}
	plugin := &http.Server{
		Handler:           engine.NewPlugin(d.nonces, d.roundabout),
		ReadHeaderTimeout: time.Minute,
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	group.Go(func() error { return d.Run(ctx) })
	group.Go(func() error { return d.proxy.Serve(ctx, public, "") })
	group.Go(func() error { return teams.follow(ctx) })
	group.Go(func() error {
		if err := plugin.Serve(root); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("plugin: %w", err)
		}
		return nil
	})
	group.Go(func() error { <-ctx.Done(); return plugin.Close() })
	if d.serve.Ready != nil {
		group.Go(func() error { return d.serve.Ready(ctx) })
	}
	return group.Wait()
}

// roundabout records that somebody asked the engine round the guard. It was
// denied, recorded or not.
func (d *serving) roundabout(ctx context.Context, r engine.Refusal) {
	text := fmt.Sprintf("the engine was asked round the guard: %.200q %.200q: %s", r.Method, r.URI, r.Reason)
	err := d.Record(ctx, &verdict.Decision{
		ID: rand.Text(), Time: time.Now().UTC(), Door: engine.Door, Caller: "unknown", Outcome: verdict.Denied,
		Reasons: []verdict.Reason{{Rule: "authz", Class: verdict.Rule, Outcome: verdict.Denied, Message: text}},
	})
	if err != nil {
		d.serve.Log.ErrorContext(ctx, "record a denial", slog.Any("err", err), slog.String("denied", text))
	}
}

// listen opens the listener and reads certificates.
func (t TLSConfig) listen(ctx context.Context) (net.Listener, *tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, nil, fault.Hint(fault.Errorf(fault.Invalid, "the server's certificate: %w", err), "--tls-cert FILE --tls-key FILE")
	}
	pem, err := os.ReadFile(t.ClientCA)
	if err != nil {
		return nil, nil, fault.Hint(fault.Errorf(fault.Invalid, "the authority of clients: %w", err), "--tls-client-ca FILE")
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, nil, fault.Errorf(fault.Invalid, "%q holds no certificate", t.ClientCA)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", t.Listen)
	if err != nil {
		return nil, nil, fault.Errorf(fault.Unavailable, "listen: %w", err)
	}
	return l, &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool, MinVersion: tls.VersionTLS13}, nil
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
