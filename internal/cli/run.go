//go:build linux

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"os/user"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"plimsoll/internal/app"
	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
	"plimsoll/internal/gate"
	"plimsoll/internal/rootfs"
	"plimsoll/internal/seal"
	"plimsoll/internal/verdict"
)

// Exit codes of run, which are those of other programs that run programs.
const (
	exitOurs          = 125 // everything that is not the container's program
	exitNotExecutable = 126
	exitNoCommand     = 127
)

// stageName is the hidden command that run starts this program with.
const stageName = "seal-stage"

// run is one call of the command.
type run struct {
	env     *Env
	ask     gate.Request
	asked   app.Asked
	mounts  []string
	report  string
	verbose bool
}

func newRun(env *Env) *cobra.Command {
	r := &run{env: env, ask: gate.Request{Door: "run"}}
	cmd := &cobra.Command{
		Use:   "run --team TEAM [flags] IMAGE [COMMAND...]",
		Short: "Run an image that the policy allows, sealed into what its team is granted",
		Long: `Run an image in a container, if the gate allows it: in a user namespace of its
own, with the mounts, limits and privileges of its team's profile and nothing
else. Needs root, runc and Linux 5.19 or later.

Layers are unpacked once and kept in the folder "layers" of --data, which may be
removed while no container runs.

Exit codes: the program's own, 128+n if signal n ended it, 127 if the command is
not in the image, 126 if it cannot be executed, 125 for everything else.`,
		Example: `  sudo plimsoll run --team payments registry.example.com/payments/api:1
  sudo plimsoll run --team payments --mount /srv/payments/data:/data oci:build/image /bin/report --all
  sudo plimsoll run --team payments -v --report container.json registry.example.com/payments/api:1`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &exitError{exitOurs, fault.Errorf(fault.Usage, "an image must be named")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			r.ask.Image, r.asked.Args = args[0], args[1:]
			return runCode(r.run(cmd.Context()))
		},
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &exitError{exitOurs, fault.Hint(fault.As(fault.Usage, err), "%s --help", cmd.CommandPath())}
	})
	flags := cmd.Flags()
	flags.SetInterspersed(false) // what comes after the image is the command's
	flags.StringVar(&r.ask.Team, "team", "", "team whose share the container takes")
	flags.StringVar(&r.ask.Environment, "environment", "", "environment of the policy that judges (default: the host's)")
	flags.StringVar(&r.ask.Platform, "platform", "", "platform to run of an image for several (default: this machine's)")
	flags.StringArrayVar(&r.mounts, "mount", nil, "mount a file or folder of the host, SRC:DST or SRC:DST:ro (repeatable)")
	flags.StringArrayVar(&r.asked.Env, "env", nil, "set a variable, NAME=VALUE (repeatable)")
	flags.StringVar(&r.asked.Workdir, "workdir", "", "folder to start in (default: the image's)")
	flags.StringVar(&r.asked.User, "user", "", "user, or user:group, to run as (default: the image's)")
	flags.StringVar(&r.report, "report", "", "file to write what the container got into, as JSON")
	flags.BoolVarP(&r.verbose, "verbose", "v", false, "say on standard error what the container got")
	return cmd
}

func newStage(_ *Env) *cobra.Command {
	return &cobra.Command{
		Use:     stageName,
		Short:   "Put a container together and become its runtime (started by run)",
		Example: "  plimsoll run --team payments registry.example.com/payments/api:1",
		Hidden:  true,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := seal.Stage(cmd.Context()); fault.Is(err, fault.Usage) {
				return err
			}
			return &exitError{code: exitFailed} // run was told why
		},
	}
}

// runCode gives the outcome of run the exit code that it has.
func runCode(code int, err error) error {
	var known *exitError
	switch {
	case err == nil && code == exitOK:
		return nil
	case err == nil:
		return &exitError{code: code}
	case errors.As(err, &known):
		return err
	case errors.Is(err, seal.ErrNoCommand):
		return &exitError{exitNoCommand, err}
	case errors.Is(err, seal.ErrNotExecutable):
		return &exitError{exitNotExecutable, err}
	}
	return &exitError{exitOurs, err}
}

func (r *run) run(ctx context.Context) (int, error) {
	if err := r.check(); err != nil {
		return 0, err
	}
	// From here on signals are the container's; those that come before it runs
	// end this command through ctx.
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH)
	defer signal.Stop(signals)
	inner, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	unlink := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	defer unlink()

	var decision *verdict.Decision
	containers, err := r.env.Settings.Containers([]string{"plimsoll", stageName}, func(s seal.Started) {
		unlink()
		r.tell(s, decision)
	}, r.env.warn)
	if err != nil {
		return 0, err
	}
	answer, layers, err := r.prepare(inner, containers)
	if err != nil {
		return 0, err
	}
	decision = &answer.Decision
	streams := seal.Streams{In: r.env.In, Out: r.env.Out, Err: r.env.Err}
	return containers.Run(inner, answer, layers, r.asked, streams, signals)
}

// check reads the command line.
func (r *run) check() error {
	if err := r.env.knowsForm("table", "json"); err != nil {
		return err
	}
	if r.ask.Team == "" {
		return fault.Hint(fault.Errorf(fault.Usage, "no team is named"), "plimsoll run --team TEAM %s", r.ask.Image)
	}
	for _, s := range r.mounts {
		m, err := seal.ParseMount(s)
		if err != nil {
			return err
		}
		r.asked.Mounts = append(r.asked.Mounts, m)
	}
	caller, err := user.Current()
	if err != nil {
		return fault.Errorf(fault.Unavailable, "who asks: %w", err)
	}
	r.ask.Caller = caller.Username
	return nil
}

// prepare asks the gate and unpacks what it allowed.
func (r *run) prepare(ctx context.Context, containers *app.Containers) (*gate.Answer, []rootfs.Layer, error) {
	if err := containers.Tidy(ctx); err != nil {
		return nil, nil, err
	}
	p := r.env.startProgress("look at " + oneLine(r.ask.Image))
	defer p.finish()
	answer, err := r.env.decide(ctx, r.ask, p.add)
	if err != nil {
		return nil, nil, err
	}
	if !answer.Decision.Allowed() {
		return nil, nil, r.denied(&answer.Decision)
	}
	layers, err := containers.Unpack(ctx, &answer)
	if err != nil {
		return nil, nil, err
	}
	for _, l := range layers {
		if l.Fresh && len(l.Skipped) > 0 {
			r.env.warn(fmt.Errorf("layer %s: %d device nodes were left out, %q first: a container has a /dev of its own", l.DiffID, len(l.Skipped), l.Skipped[0]))
		}
	}
	return &answer, layers, nil
}

// denied prints a denial: as JSON on standard output, which the program never
// got, with the exit code that check would have had; or for people.
func (r *run) denied(d *verdict.Decision) error {
	if r.env.output == "json" {
		v := struct {
			*verdict.Decision
			Code int `json:"code"`
		}{d, decisionCode(d)}
		if err := r.env.print(v, nil); err != nil {
			return err
		}
		return &exitError{code: exitOurs}
	}
	w := tabwriter.NewWriter(r.env.Err, 0, 0, 2, ' ', 0)
	decisionTable(w, d)
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write decision: %w", err)
	}
	return &exitError{code: exitOurs}
}

// tell says what the container got.
func (r *run) tell(s seal.Started, d *verdict.Decision) {
	if r.verbose {
		fmt.Fprintf(r.env.Err, "container %s: team %s, host uid %s, cgroup %s, pid %d, %s\n", s.ID, s.Team, s.IDs, s.Cgroup, s.PID, oneLine(s.Runtime))
		if s.Disk.Size > 0 {
			fmt.Fprintf(r.env.Err, "files in its mounts belong to host uid %s\n", s.Disk)
		}
	}
	if r.report == "" {
		return
	}
	v := struct {
		seal.Started
		Decision *verdict.Decision `json:"decision"`
	}{s, d}
	b, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		err = durable.WriteFile(r.report, append(b, '\n'), 0o644)
	}
	if err != nil {
		r.env.warn(fmt.Errorf("write report: %w", err))
	}
}
