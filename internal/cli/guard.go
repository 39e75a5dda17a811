//go:build linux

package cli

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
	"plimsoll/internal/host"
)

func newGuard(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "guard",
		Short: "Stand between a host's people and its container engine",
		Example: "  sudo plimsoll guard install --dry-run\n" +
			"  sudo plimsoll guard doctor",
	}
	cmd.AddCommand(newGuardRun(env), newGuardInstall(env), newGuardUninstall(env), newGuardDoctor(env))
	return cmd
}

// guardHost is the host that the commands change and look at. Its root can be
// another folder than "/", so that an image of a host can be prepared.
type guardHost struct{ root string }

func (g *guardHost) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&g.root, "root", "/", "folder that the host's paths are below")
}

func (g *guardHost) host() (host.Host, error) {
	if os.Geteuid() != 0 {
		return host.Host{}, fault.Hint(fault.Errorf(fault.Unavailable, "only root may look at and change all of a host"), "sudo plimsoll guard …")
	}
	root, err := filepath.Abs(g.root)
	if err != nil || root == "/" {
		root = ""
	}
	return host.Host{Root: root}, err
}

func newGuardRun(env *Env) *cobra.Command {
	var c app.ServeConfig
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Serve the engine's socket, the engine's questions and the runtime's",
		Long: `Serve the engine's socket in its place: who asks, for which team, which image and
what it may have is decided here. Answers the engine's authorization plugin and the
runtime as well. Ends with a signal; containers that run go on.

Started by the unit plimsoll-guard.service that "plimsoll guard install" writes.`,
		Example: "  sudo plimsoll guard run",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if os.Geteuid() != 0 {
				return fault.Hint(fault.Errorf(fault.Unavailable, "only root can guard a host"), "sudo plimsoll guard run")
			}
			folder, systemd, err := host.Host{}.Engine()
			if err != nil {
				return err
			}
			c.Docker, c.Systemd = folder, systemd
			c.Warn, c.Ready = env.warn, host.Ready
			c.Log = slog.New(slog.NewTextHandler(env.Err, nil))
			return env.Settings.ServeGuard(cmd.Context(), c)
		},
	}
	cmd.Flags().StringVar(&c.Public, "socket", host.PublicSocket, "socket that people use, the engine's former place")
	cmd.Flags().StringVar(&c.Group, "group", "docker", "group whose members may use it; what they may do there is the policy's")
	cmd.Flags().StringVar(&c.Containerd, "containerd", host.Containerd, "containerd's folder of state, whose containers of nobody are judged too")
	cmd.Flags().StringVar(&c.Podman.Root, "podman", "/var/lib/containers/storage", "podman's storage, whose containers of nobody are judged too")
	cmd.Flags().StringVar(&c.Podman.Run, "podman-run", "/run/containers/storage", "where podman keeps what does not outlive the host's boot")
	cmd.Flags().StringVar(&c.Run, "sockets", app.RunFolder, "folder of the other sockets")
	cmd.Flags().StringVar(&c.TLS.Listen, "tls-listen", "", "host:port to serve people with client certificates at, beside the socket")
	cmd.Flags().StringVar(&c.TLS.Cert, "tls-cert", "", "the server's certificate (PEM)")
	cmd.Flags().StringVar(&c.TLS.Key, "tls-key", "", "its key (PEM)")
	cmd.Flags().StringVar(&c.TLS.ClientCA, "tls-client-ca", "", "authorities that sign people's certificates (PEM); the subject is who calls")
	cmd.MarkFlagsRequiredTogether("tls-listen", "tls-cert", "tls-key", "tls-client-ca")
	return cmd
}

// guardInstall is one call of the command.
type guardInstall struct {
	guardHost
	dryRun, yes, now, unsealed bool
	runtime                    string
}

func newGuardInstall(env *Env) *cobra.Command {
	var g guardInstall
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Put the guard between this host's people and its Docker Engine",
		Long: `Register the runtime and the authorization plugin with the Docker Engine, move the
engine's socket where only root gets, and have the guard started in its place.
Shows every change and asks. What is not understood is not touched: then it says
why and changes nothing. What was there is kept, and uninstall puts it back.

Nothing takes effect until the engine is restarted, which --now does. Containers
stop with it, unless the engine's live-restore is on.`,
		Example: "  sudo plimsoll guard install --dry-run\n" +
			"  sudo plimsoll guard install --policy /etc/plimsoll/policy.yaml --now",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return g.run(env, cmd) },
	}
	g.flags(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&g.dryRun, "dry-run", false, "show what would be changed, and change nothing")
	flags.BoolVar(&g.yes, "yes", false, "do not ask")
	flags.BoolVar(&g.now, "now", false, "restart the engine, so that it takes effect")
	flags.BoolVar(&g.unsealed, "accept-unsealed", false, "let containers that are there go on to run unsealed")
	flags.StringVar(&g.runtime, "runtime", "", "file of plimsoll-runtime (default: the one beside this program)")
	return cmd
}

func (g *guardInstall) run(env *Env, cmd *cobra.Command) error {
	if err := env.checkOutput(); err != nil {
		return err
	}
	h, err := g.host()
	if err != nil {
		return err
	}
	q, err := g.request(env)
	if err != nil {
		return err
	}
	plan := h.Plan(q)
	if g.dryRun || env.output == "table" {
		if err := env.print(plan, func(w io.Writer) { planTable(w, plan) }); err != nil {
			return err
		}
	}
	if len(plan.Obstacles) > 0 {
		return fault.Hint(fault.Errorf(fault.Conflict, "nothing was changed: %s", plan.Obstacles[0].Text), "%s", plan.Obstacles[0].Hint)
	}
	if g.dryRun {
		return nil
	}
	if err := env.agree(cmd, "Make these changes", g.yes); err != nil {
		return err
	}
	if err := h.Install(cmd.Context(), plan, g.now); err != nil {
		return err
	}
	if env.output != "table" {
		return env.print(plan, nil)
	}
	fmt.Fprintf(env.Out, "installed: %d changes\n", len(plan.Changes))
	if !g.now {
		showCommands(env.Out, plan.Commands())
	}
	return nil
}

// request is what the command line says about the installation.
func (g *guardInstall) request(env *Env) (host.Request, error) {
	program, err := os.Executable()
	if err == nil {
		program, err = filepath.EvalSymlinks(program)
	}
	if err != nil {
		return host.Request{}, fault.Errorf(fault.Unavailable, "where this program is: %w", err)
	}
	if g.runtime == "" {
		g.runtime = filepath.Join(filepath.Dir(program), "plimsoll-runtime")
	}
	file, err := filepath.Abs(env.Settings.Policy)
	if err != nil {
		return host.Request{}, fault.Errorf(fault.Unavailable, "policy: %w", err)
	}
	_, wrong := app.ReadPolicy(file)
	args := []string{"--policy", file, "--data", env.Settings.Data}
	if env.Settings.Config != "" {
		args = append(args, "--config", env.Settings.Config)
	}
	return host.Request{Program: program, Runtime: g.runtime, Args: args, Unsealed: g.unsealed, Policy: wrong}, nil
}

// agree returns nil if a person agrees.
func (env *Env) agree(cmd *cobra.Command, what string, yes bool) error {
	if yes {
		return nil
	}
	ok, err := env.Confirm(cmd.Context(), what+"? Type yes")
	if err != nil {
		return fault.Hint(err, "where nobody can be asked: --yes")
	}
	if !ok {
		return fault.Errorf(fault.Denied, "not confirmed: nothing was changed")
	}
	return nil
}

func planTable(w io.Writer, p *host.Plan) {
	if len(p.Obstacles) > 0 {
		fmt.Fprintln(w, "IN THE WAY\tWHAT TO DO")
		for _, o := range p.Obstacles {
			fmt.Fprintf(w, "%s\t%s\n", oneLine(o.Text), oneLine(o.Hint))
		}
		return
	}
	fmt.Fprintln(w, "CHANGE\tWHAT FOR")
	for _, c := range p.Changes {
		fmt.Fprintf(w, "%s\t%s\n", oneLine(c.Path), oneLine(c.What))
	}
	for _, r := range p.ByHand {
		fmt.Fprintf(w, "\nby hand: %s\n", oneLine(r.Text))
		for line := range strings.SplitSeq(r.Hint, "\n") {
			fmt.Fprintf(w, "    %s\n", printable(line))
		}
	}
}

func showCommands(w io.Writer, commands [][]string) {
	if len(commands) == 0 {
		return
	}
	fmt.Fprintln(w, "it takes effect with:")
	for _, c := range commands {
		fmt.Fprintf(w, "    %s\n", strings.Join(c, " "))
	}
}
