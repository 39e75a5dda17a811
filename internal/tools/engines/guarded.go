//go:build linux

package engines

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// People of a host. They are in the group docker, and in no policy but by name.
var People = map[string]string{"alice": "61001", "bob": "61002", "mallory": "61003", "carol": "61004"}

const dockerGroup = "64124"

// Guarded is a host as an operator has it: an engine in its usual places that
// `plimsoll guard install` was run on, and the guard. Nothing starts by itself:
// what systemd would start, Start and its like do.
type Guarded struct {
	*Engine // by the engine's own socket, which only root has

	guard *exec.Cmd
}

// Install puts the programs into place and installs the guard with the policy.
// Control groups of teams are left to the caller: see [Host.Remove].
func Install(ctx context.Context, h *Host, plimsoll, runtime, policy string) (*Guarded, error) {
	for name, source := range map[string]string{"plimsoll": plimsoll, "plimsoll-runtime": runtime} {
		b, err := os.ReadFile(source)
		if err == nil {
			err = os.WriteFile(h.Path("/usr/local/sbin/"+name), b, 0o755)
		}
		if err != nil {
			return nil, fmt.Errorf("put %s into place: %w", name, err)
		}
	}
	files := map[string]string{
		"/etc/docker/daemon.json":   `{"exec-opts": ["native.cgroupdriver=cgroupfs"], "live-restore": true, "containerd": "` + ContainerdSocket + `"}`,
		"/etc/plimsoll/config.yaml": "policy: /etc/plimsoll/policy.yaml\n",
		"/etc/plimsoll/policy.yaml": policy,
	}
	for path, text := range files {
		err := os.MkdirAll(filepath.Dir(h.Path(path)), 0o755)
		if err == nil {
			err = os.WriteFile(h.Path(path), []byte(text), 0o644)
		}
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", path, err)
		}
	}
	if _, err := h.Run(ctx, "plimsoll", "guard", "install", "--yes"); err != nil {
		return nil, err
	}
	return &Guarded{Engine: &Engine{Host: h, Socket: h.Path("/run/plimsoll/engine/docker.sock"), Data: h.Dir + "/lib/docker"}}, nil
}

// Start starts containerd, the guard and dockerd.
func (g *Guarded) Start(ctx context.Context) error {
	var err error
	if g.containerd, err = g.Host.daemon(os.Getenv("PATH"), "containerd"); err != nil { //nolint:contextcheck // daemons end with their host
		return err
	}
	if err := g.Host.until(ctx, "containerd", g.there(ContainerdSocket)); err != nil {
		return err
	}
	if err := g.StartGuard(ctx); err != nil {
		return err
	}
	return g.StartDaemon(ctx)
}

// StartGuard starts the guard: at first, and again after StopGuard.
func (g *Guarded) StartGuard(ctx context.Context) error {
	var err error
	if g.guard, err = g.Host.daemon(os.Getenv("PATH"), "plimsoll", "guard", "run"); err != nil { //nolint:contextcheck // as above
		return err
	}
	if err := g.Host.until(ctx, "guard", g.listening("/run/docker.sock")); err != nil {
		return fmt.Errorf("%w\n%s", err, g.Host.Log("plimsoll"))
	}
	return nil
}

// StopGuard ends the guard: with sig "KILL" without a chance to tidy up.
func (g *Guarded) StopGuard(ctx context.Context, sig string) error {
	if _, err := g.Host.Run(ctx, "pkill", "-"+sig, "-x", "plimsoll"); err != nil {
		return err
	}
	var exit *exec.ExitError
	if err := g.guard.Wait(); err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("stop guard: %w", err)
	}
	return nil
}

// StartDaemon starts dockerd: at first, and again after StopDaemon. systemd hands
// it the socket that is its own.
func (g *Guarded) StartDaemon(ctx context.Context) error {
	var err error
	if g.daemon, err = g.Host.daemon(os.Getenv("PATH"), "dockerd", "-H", "unix:///run/plimsoll/engine/docker.sock"); err != nil { //nolint:contextcheck // as above
		return err
	}
	return g.Host.until(ctx, "dockerd", func() error {
		if r := g.As(ctx, "root", nil, "version"); r.Code != 0 {
			return fmt.Errorf("docker version: %s\n%s\n%s", r.Err, g.Host.Log("dockerd"), g.Host.Log("plimsoll"))
		}
		return nil
	})
}

func (g *Guarded) listening(socket string) func() error {
	return func() error {
		c, err := net.Dial("unix", g.Host.Path(socket)) //nolint:noctx // of this machine
		if err != nil {
			return err
		}
		return c.Close()
	}
}

func (g *Guarded) there(socket string) func() error {
	return func() error {
		_, err := os.Stat(g.Host.Path(socket))
		return err
	}
}

// As runs a docker command as one of People, or as root, on the host and through
// the socket that people use.
func (g *Guarded) As(ctx context.Context, user string, in io.Reader, args ...string) Result {
	return result(g.CommandAs(ctx, user, "docker", args...), in)
}

// CommandAs returns a command that one of People, or else root, runs on the host.
func (g *Guarded) CommandAs(ctx context.Context, user, name string, args ...string) *exec.Cmd {
	if id, ok := People[user]; ok {
		return g.Host.Command(ctx, "setpriv", append([]string{"--reuid=" + id, "--regid=" + id, "--groups=" + dockerGroup, name}, args...)...)
	}
	return g.Host.Command(ctx, name, args...)
}

func result(cmd *exec.Cmd, in io.Reader) Result {
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = in, &out, &errs, 2*time.Second
	err := cmd.Run()
	r := Result{Out: out.String(), Err: errs.String(), Code: cmd.ProcessState.ExitCode()}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.Err = strings.TrimSpace(r.Err + " " + err.Error())
	}
	return r
}
