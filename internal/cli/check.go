package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/user"

	"github.com/spf13/cobra"

	"plimsoll/internal/fault"
	"plimsoll/internal/gate"
	"plimsoll/internal/verdict"
)

func newCheck(env *Env) *cobra.Command {
	q := gate.Request{Door: "check"}
	cmd := &cobra.Command{
		Use:   "check IMAGE",
		Short: "Say whether an image may run in an environment, and why",
		Long: "Say whether an image may run in an environment, and why: who signed it, whether all of it was scanned,\n" +
			"and what each rule of the policy comes to. The answer is written into the audit log.\n\n" +
			"Exit codes: 0 allowed, 3 a rule denies, 4 evidence is missing, expired or wrong, 1 it could not be looked at.",
		Example: "  plimsoll check registry.example.com/payments/api:1 --environment production\n" +
			"  plimsoll check oci:build/image --environment test --team payments -o json",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q.Image = args[0]
			return env.check(cmd.Context(), q)
		},
	}
	cmd.Flags().StringVar(&q.Environment, "environment", "", "environment of the policy that judges (default: the host's)")
	cmd.Flags().StringVar(&q.Team, "team", "", "team that would run the image")
	cmd.Flags().StringVar(&q.Platform, "platform", "", "platform to judge of an image for several, such as linux/arm64 (default: this machine's)")
	return cmd
}

func (env *Env) check(ctx context.Context, q gate.Request) (err error) {
	if err := env.knowsForm("table", "json"); err != nil {
		return err
	}
	caller, err := user.Current()
	if err != nil {
		return fault.Errorf(fault.Unavailable, "who asks: %w", err)
	}
	q.Caller = caller.Username
	p := env.startProgress("look at " + oneLine(q.Image))
	answer, err := env.decide(ctx, q, p.add)
	p.finish()
	if err != nil {
		return err
	}
	d := &answer.Decision
	if err := env.print(d, func(w io.Writer) { decisionTable(w, d) }); err != nil {
		return err
	}
	if code := decisionCode(d); code != exitOK {
		return &exitError{code: code}
	}
	return nil
}

// decide opens a gate, asks it once and closes it.
func (env *Env) decide(ctx context.Context, q gate.Request, progress func(int)) (answer gate.Answer, err error) {
	g, err := env.Settings.Gate(ctx, progress, env.warn)
	if err != nil {
		return gate.Answer{}, err
	}
	defer func() { err = errors.Join(err, g.Close(ctx)) }()
	return g.Decide(ctx, q)
}

// decisionCode returns the exit code for a decision: that it could not be looked
// at comes before wrong evidence, and that before a rule.
func decisionCode(d *verdict.Decision) int {
	if d.Allowed() {
		return exitOK
	}
	code := exitDenied
	for _, r := range d.Reasons {
		if r.Outcome != verdict.Denied {
			continue
		}
		switch r.Class {
		case verdict.Unavailable:
			return exitFailed
		case verdict.Evidence:
			code = exitUntrusted
		case verdict.Rule:
		}
	}
	return code
}

// maxEvidence is how many lines of evidence for one reason a table shows.
const maxEvidence = 6

func decisionTable(w io.Writer, d *verdict.Decision) {
	fmt.Fprintf(w, "%s: %s in %s", d.Outcome, oneLine(d.Image), oneLine(d.Environment))
	if d.Team != "" {
		fmt.Fprintf(w, " for %s", oneLine(d.Team))
	}
	fmt.Fprintln(w)
	if d.Digest != "" {
		fmt.Fprintf(w, "digest: %s\n", d.Digest)
	}
	if d.Receipt != nil {
		fmt.Fprintf(w, "recorded: event %d of %s\n", d.Receipt.Index, d.Receipt.Log)
	}
	fmt.Fprintln(w, "\nRULE\tOUTCOME\tREASON")
	for _, r := range d.Reasons {
		fmt.Fprintf(w, "%s\t%s\t%s\n", oneLine(r.Rule), r.Outcome, oneLine(r.Message))
		for i, line := range r.Evidence {
			if i == maxEvidence {
				fmt.Fprintf(w, "\t\t  and %d lines more: -o json has them\n", len(r.Evidence)-i)
				break
			}
			fmt.Fprintf(w, "\t\t  %s\n", oneLine(line))
		}
		if r.Hint != "" {
			fmt.Fprintf(w, "\t\t  hint: %s\n", oneLine(r.Hint))
		}
	}
}
