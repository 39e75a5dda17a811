package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
	"plimsoll/internal/policy"
	"plimsoll/internal/ref"
)

func newPolicy(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Check a policy, and say in words what it demands",
		Example: "  plimsoll policy lint policy.yaml\n" +
			"  plimsoll policy explain policy.yaml --environment production",
	}
	cmd.AddCommand(newPolicyLint(env), newPolicyExplain(env))
	return cmd
}

// linted is what policy lint says about a policy without mistakes.
type linted struct {
	File         string     `json:"file"`
	Policy       ref.Digest `json:"policy"` // SHA-256 of the file, as decisions name it
	Publishers   []string   `json:"publishers"`
	Environments []string   `json:"environments"`
	Teams        []string   `json:"teams"`

	// Why run refuses the profiles of teams, by team; a later version or another
	// door may enforce them.
	Unenforceable map[string]string `json:"unenforceable,omitempty"`
}

func newPolicyLint(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:     "lint FILE",
		Short:   "Check a policy and show every mistake with its line",
		Example: "  plimsoll policy lint policy.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := env.checkOutput(); err != nil {
				return err
			}
			d, err := readPolicy(args[0])
			if err != nil {
				return err
			}
			out := linted{
				File: args[0], Policy: d.Hash(),
				Publishers:   slices.AppendSeq([]string{}, maps.Keys(d.Publishers)),
				Environments: slices.AppendSeq([]string{}, maps.Keys(d.Environments)),
				Teams:        slices.AppendSeq([]string{}, maps.Keys(d.Teams)),
			}
			out.Unenforceable = unenforceable(d)
			for _, names := range [][]string{out.Publishers, out.Environments, out.Teams} {
				slices.Sort(names)
			}
			return env.print(out, func(w io.Writer) {
				fmt.Fprintf(w, "%s: no mistakes\n", oneLine(out.File))
				fmt.Fprintf(w, "publishers:\t%s\n", orNone(out.Publishers))
				fmt.Fprintf(w, "environments:\t%s\n", orNone(out.Environments))
				fmt.Fprintf(w, "teams:\t%s\n", orNone(out.Teams))
				fmt.Fprintf(w, "policy:\t%s\n", out.Policy)
				for _, team := range slices.Sorted(maps.Keys(out.Unenforceable)) {
					fmt.Fprintf(w, "warning:\trun refuses what team %s is given: %s\n", team, oneLine(out.Unenforceable[team]))
				}
			})
		},
	}
}

// unenforceable returns why run would refuse the teams' profiles.
func unenforceable(d *policy.Document) map[string]string {
	all := map[string]string{}
	for team := range d.Teams {
		if err := app.Enforceable(d.Grant(team)); err != nil {
			all[team] = err.Error()
		}
	}
	return all
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// readPolicy reads a file that was named as an argument, not by --policy.
func readPolicy(file string) (*policy.Document, error) {
	d, err := app.ReadPolicy(file)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.Hint(err, "name the file that the policy is in")
	}
	return d, err
}

func newPolicyExplain(env *Env) *cobra.Command {
	var environment string
	cmd := &cobra.Command{
		Use:     "explain FILE [--environment ENVIRONMENT]",
		Short:   "Say in words what an environment demands of an image",
		Example: "  plimsoll policy explain policy.yaml --environment production",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := env.checkOutput(); err != nil {
				return err
			}
			d, err := readPolicy(args[0])
			if err != nil {
				return err
			}
			if environment == "" && d.Host != nil {
				environment = d.Host.Environment
			}
			text := d.Explain(environment, time.Now())
			if text == nil {
				names := slices.Sorted(maps.Keys(d.Environments))
				return fault.Hint(fault.Errorf(fault.NotFound, "the policy has no environment %q", environment), "the policy has the environments %q: name one with --environment", names)
			}
			out := struct {
				Environment string   `json:"environment"`
				Demands     []string `json:"demands"`
			}{environment, text}
			return env.print(out, func(w io.Writer) {
				for _, line := range text {
					fmt.Fprintln(w, oneLine(line))
				}
			})
		},
	}
	cmd.Flags().StringVar(&environment, "environment", "", "environment of the policy (default: the host's)")
	return cmd
}
