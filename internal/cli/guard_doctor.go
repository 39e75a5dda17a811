//go:build linux

package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"plimsoll/internal/app"
	"plimsoll/internal/host"
)

func newGuardUninstall(env *Env) *cobra.Command {
	var g guardHost
	var yes, now bool
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Take the guard out again and leave the host as it was",
		Long: `Undo an installation, also one that was cut short. What nobody edited since is put
back byte for byte; in what somebody did edit, only our own is undone. The audit
log, the guard's records and the policy stay.`,
		Example: "  sudo plimsoll guard uninstall --now",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := env.checkOutput(); err != nil {
				return err
			}
			h, err := g.host()
			if err != nil {
				return err
			}
			r, err := h.Removal()
			if err != nil {
				return err
			}
			if env.output == "table" {
				for _, p := range r.Paths {
					fmt.Fprintf(env.Out, "%s\n", oneLine(p))
				}
				if len(r.Sealed) > 0 {
					env.warn(fmt.Errorf("%d containers were made sealed and will not start until the guard is back: %s", len(r.Sealed), strings.Join(r.Sealed, ", ")))
				}
			}
			if err := env.agree(cmd, "Make these what they were before", yes); err != nil {
				return err
			}
			if r, err = h.Uninstall(cmd.Context(), now); err != nil {
				return err
			}
			if env.output != "table" {
				return env.print(r, nil)
			}
			for _, l := range r.Left {
				env.warn(fmt.Errorf("%s", l))
			}
			fmt.Fprintln(env.Out, "uninstalled")
			if !now {
				showCommands(env.Out, r.Commands)
			}
			return nil
		},
	}
	g.flags(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&now, "now", false, "restart the engine, so that it takes effect")
	return cmd
}

// diagnosis is what guard doctor found.
type diagnosis struct {
	Good   bool         `json:"good"`
	Checks []host.Check `json:"checks"`
}

func newGuardDoctor(env *Env) *cobra.Command {
	var g guardHost
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look whether the locks of this host hold",
		Long: `Look at every link between a request and a container: the kernel, the policy, the
guard, the engine and its sockets, the runtime. Changes nothing. One request that
nobody judged is sent to the engine, which must deny it.

Exit codes: 0 if all is good, 1 if anything is not; notes do not count.`,
		Example: "  sudo plimsoll guard doctor\n" +
			"  sudo plimsoll guard doctor -o json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := env.checkOutput(); err != nil {
				return err
			}
			h, err := g.host()
			if err != nil {
				return err
			}
			checks := h.Doctor(cmd.Context(), host.Questions{Policy: func() (string, error) {
				d, err := app.ReadPolicy(env.Settings.Policy)
				if err != nil {
					return "", err
				}
				return fmt.Sprintf("%s, %d teams", env.Settings.Policy, len(d.Teams)), nil
			}})
			out := diagnosis{host.Healthy(checks), checks}
			if err := env.print(out, func(w io.Writer) { doctorTable(w, checks) }); err != nil {
				return err
			}
			if !out.Good {
				return &exitError{code: exitFailed}
			}
			return nil
		},
	}
	g.flags(cmd)
	return cmd
}

func doctorTable(w io.Writer, checks []host.Check) {
	fmt.Fprintln(w, "CHECK\tSTATE\tWHAT WAS FOUND")
	for _, c := range checks {
		fmt.Fprintf(w, "%s\t%s\t%s\n", c.Name, c.State, oneLine(c.Text))
		if c.Hint != "" && c.State != host.Good {
			fmt.Fprintf(w, "\t\t  hint: %s\n", oneLine(c.Hint))
		}
	}
}
