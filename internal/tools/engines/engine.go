//go:build linux

package engines

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// RemapBase is the first ID of an engine whose Options say Remap.
const RemapBase = 1610612736

// Options are what engines differ in.
type Options struct {
	Remap       bool     // one user namespace for all containers of the engine
	LiveRestore bool     // containers outlive the daemon
	Runtime     string   // path of an OCI runtime: the default one, and what "runc" means to the engine
	Flags       []string // more flags of dockerd
}

// Engine is a dockerd with its containerd on a host.
type Engine struct {
	Host   *Host
	Socket string // of dockerd, outside and inside
	Data   string // folder of dockerd's data

	options    Options
	containerd *exec.Cmd
	daemon     *exec.Cmd
}

// Result is what a docker command did.
type Result struct {
	Out, Err string
	Code     int // exit status, -1 if it did not end by itself
}

// Start starts containerd and dockerd on h. They end with the host.
func Start(ctx context.Context, h *Host, o Options) (*Engine, error) {
	e := &Engine{Host: h, Socket: h.Dir + "/docker.sock", Data: h.Dir + "/docker", options: o}
	if o.Remap {
		e.Data = fmt.Sprintf("%s/%d.%d", e.Data, RemapBase, RemapBase)
	}
	if err := e.shadow(); err != nil {
		return nil, err
	}
	var err error
	e.containerd, err = h.daemon(e.path(), "containerd", "--config", "/dev/null", "--root", h.Dir+"/containerd", "--state", "/run/containerd", "-a", ContainerdSocket) //nolint:contextcheck // daemons end with their host
	if err != nil {
		return nil, err
	}
	listening := func() error {
		_, err := os.Stat(h.Path(ContainerdSocket))
		return err
	}
	if err := h.until(ctx, "containerd", listening); err != nil {
		return nil, err
	}
	return e, e.StartDaemon(ctx)
}

// ContainerdSocket is where containerd listens, inside the host.
const ContainerdSocket = "/run/containerd/containerd.sock"

// path returns the PATH of the daemons. A client may ask the engine for one of
// its built-in runtimes instead of the default one; they run the program that
// PATH has for "runc", which is the default one, too.
func (e *Engine) path() string {
	if e.options.Runtime == "" {
		return os.Getenv("PATH")
	}
	return e.Host.Dir + "/path:" + os.Getenv("PATH")
}

// shadow puts the runtime into the folder that stands first in path.
func (e *Engine) shadow() error {
	if e.options.Runtime == "" {
		return nil
	}
	first := e.Host.Dir + "/path"
	if err := os.Mkdir(first, 0o755); err != nil {
		return fmt.Errorf("make folder of runtime: %w", err)
	}
	for _, name := range []string{"runc", "crun"} {
		if err := os.Symlink(e.options.Runtime, filepath.Join(first, name)); err != nil {
			return fmt.Errorf("put runtime before %s: %w", name, err)
		}
	}
	return nil
}

// StartDaemon starts dockerd: at first, and again after StopDaemon.
func (e *Engine) StartDaemon(ctx context.Context) error {
	h := e.Host
	args := []string{
		"--data-root", h.Dir + "/docker", "--exec-root", "/run/docker", "-H", "unix://" + e.Socket, "--pidfile", "/run/docker.pid",
		"--containerd", ContainerdSocket, "--cgroup-parent", h.Cgroup, "--exec-opt", "native.cgroupdriver=cgroupfs",
	}
	if e.options.Remap {
		args = append(args, "--userns-remap", "dockremap")
	}
	if e.options.LiveRestore {
		args = append(args, "--live-restore")
	}
	if e.options.Runtime != "" {
		args = append(args, "--add-runtime", "sealed="+e.options.Runtime, "--default-runtime", "sealed")
	}
	var err error
	if e.daemon, err = h.daemon(e.path(), "dockerd", append(args, e.options.Flags...)...); err != nil { //nolint:contextcheck // daemons end with their host
		return err
	}
	return h.until(ctx, "dockerd", func() error {
		resp, err := e.Get(ctx, "/_ping")
		if err != nil {
			return fmt.Errorf("%w\n%s", err, h.Log("dockerd"))
		}
		return resp.Body.Close()
	})
}

// StopDaemon ends dockerd alone, as a restart of its service does.
func (e *Engine) StopDaemon(ctx context.Context) error {
	pid, err := os.ReadFile(e.Host.Path("/run/docker.pid"))
	if err != nil {
		return fmt.Errorf("find dockerd: %w", err)
	}
	if _, err := e.Host.Run(ctx, "kill", strings.TrimSpace(string(pid))); err != nil {
		return err
	}
	if err := e.daemon.Wait(); err != nil {
		return fmt.Errorf("stop dockerd: %w", err)
	}
	return nil
}

// daemon starts a program on the host that writes to a log file of its name.
func (h *Host) daemon(path, name string, args ...string) (*exec.Cmd, error) {
	log, err := os.OpenFile(h.logFile(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("make log: %w", err)
	}
	defer log.Close()
	cmd := h.Command(context.Background(), "env", append([]string{"PATH=" + path, name}, args...)...) // ends with its host
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return cmd, nil
}

func (h *Host) logFile(name string) string { return filepath.Join(h.Dir, name+".log") }

// Log returns the end of what a daemon wrote.
func (h *Host) Log(name string) string {
	text, err := os.ReadFile(h.logFile(name))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

// Docker runs a docker command against the engine.
func (e *Engine) Docker(ctx context.Context, args ...string) Result {
	return e.DockerIn(ctx, nil, args...)
}

// DockerIn is Docker with standard input.
func (e *Engine) DockerIn(ctx context.Context, in io.Reader, args ...string) Result {
	var out, errs bytes.Buffer
	cmd := e.Command(ctx, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, &errs
	err := cmd.Run()
	r := Result{Out: out.String(), Err: errs.String(), Code: cmd.ProcessState.ExitCode()}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.Err += err.Error()
	}
	return r
}

// Command returns a docker command for the engine, to be started outside.
func (e *Engine) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "docker", append([]string{"-H", "unix://" + e.Socket}, args...)...)
	cmd.Env, cmd.WaitDelay = environment(e.Host.Dir), 2*time.Second
	return cmd
}

// Client speaks HTTP to the engine's socket, whatever a URL's host is.
func (e *Engine) Client() *http.Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", e.Socket)
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
}

// Get asks the engine for a path of its API. The caller closes the body.
func (e *Engine) Get(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine"+path, nil)
	if err != nil {
		return nil, fmt.Errorf("ask engine: %w", err)
	}
	return e.Client().Do(req)
}
