// Package cli is the command line: one file per command, the way errors become
// messages and exit codes, and the way results become tables or JSON.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
)

// Exit codes (DESIGN.md, "Command line").
const (
	exitOK        = 0
	exitFailed    = 1 // it could not be looked at, or an input document is invalid
	exitUsage     = 2
	exitDenied    = 3 // evidence is valid but a rule denies
	exitUntrusted = 4 // evidence is missing, expired or wrong
	exitFindings  = 5 // findings at or above --fail-on
)

// Env is what a command has: its streams and the settings that all share.
type Env struct {
	In       *os.File
	Out, Err io.Writer
	Settings app.Settings
	output   string
	line     line
}

// exitError ends a command with a code of its own choice after it has printed
// what it had to say. Its error, if any, is printed as every other.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// Main runs the command line args, without the program's name, and returns the
// exit code.
func Main(ctx context.Context, args []string, in *os.File, out, errw io.Writer) int {
	env := &Env{In: in, Out: out, Err: errw}
	root := newRoot(env)
	root.SetArgs(args)
	return env.report(root.ExecuteContext(ctx))
}

func newRoot(env *Env) *cobra.Command {
	root := &cobra.Command{
		Use:           "plimsoll",
		Short:         "Sign, scan and seal container images, and let only those run that a policy allows",
		SilenceErrors: true,
		SilenceUsage:  true,
		Example: "  plimsoll key generate file:keys/root.pem\n" +
			"  plimsoll trust init registry.example.com/team/app --root-key file:keys/root.pem --key file:keys/app.pem\n" +
			"  plimsoll sign registry.example.com/team/app:1.4\n" +
			"  plimsoll check registry.example.com/team/app:1.4 --environment production",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fault.Hint(fault.As(fault.Usage, err), "%s --help", cmd.CommandPath())
	})
	flags := root.PersistentFlags()
	flags.StringVar(&env.Settings.Config, "config", "", "configuration file (PLIMSOLL_CONFIG)")
	flags.StringVar(&env.Settings.Data, "data", "", "folder of state (PLIMSOLL_DATA)")
	flags.StringVar(&env.Settings.IDs, "ids", "", "file of this host's table of user IDs (PLIMSOLL_IDS)")
	flags.StringVar(&env.Settings.Policy, "policy", "", "file of the policy document (PLIMSOLL_POLICY)")
	flags.StringVar(&env.Settings.AttestationRoots, "attestation-roots", "", "makers of tokens to believe beside the built-in ones, NAME=FILE,… (PLIMSOLL_ATTESTATION_ROOTS)")
	flags.StringVar(&env.Settings.KnownBad, "known-bad", "", "lists of files that are known to be bad, HASH NAME in each line, separated by commas (PLIMSOLL_KNOWN_BAD)")
	flags.StringVar(&env.Settings.Products, "products", "", "folders of descriptions of native code to recognise beside the built-in ones, separated by commas (PLIMSOLL_PRODUCTS)")
	flags.BoolVar(&env.Settings.PlainHTTP, "plain-http", false, "speak to registries on loopback without TLS (PLIMSOLL_PLAIN_HTTP)")
	flags.StringVarP(&env.output, "output", "o", "table", "form of the result: table, json, or what the command names")
	root.PersistentPreRunE = func(*cobra.Command, []string) error { return env.Settings.Fill() }
	root.CompletionOptions.HiddenDefaultCmd = true
	for _, add := range commands {
		root.AddCommand(add(env))
	}
	usageErrors(root)
	return root
}

// usageErrors makes a wrong number of arguments, or an unknown command, a usage
// error everywhere.
func usageErrors(cmd *cobra.Command) {
	check := cmd.Args
	if check == nil {
		check = cobra.ArbitraryArgs
	}
	if cmd.HasSubCommands() && cmd.RunE == nil && cmd.Run == nil {
		check = cobra.NoArgs
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			if !cmd.HasSubCommands() {
				err = fmt.Errorf("%w: %s", err, cmd.UseLine())
			}
			return fault.Hint(fault.As(fault.Usage, err), "%s --help", cmd.CommandPath())
		}
		return nil
	}
	for _, sub := range cmd.Commands() {
		usageErrors(sub)
	}
}

// text is what err says, in a person's words where Ctrl-C ended the command.
func text(err error) string {
	if errors.Is(err, context.Canceled) {
		return strings.ReplaceAll(err.Error(), context.Canceled.Error(), "interrupted")
	}
	return err.Error()
}

// report prints err and its hint, and returns the exit code for it.
func (env *Env) report(err error) int {
	if err == nil {
		return exitOK
	}
	code := exitCode(err)
	var e *exitError
	if errors.As(err, &e) {
		if e.err == nil {
			return code
		}
	}
	fmt.Fprintf(env.Err, "plimsoll: error: %s\n", printable(text(err)))
	if hint := fault.HintOf(err); hint != "" {
		fmt.Fprintf(env.Err, "plimsoll: hint: %s\n", printable(hint))
	}
	return code
}

func exitCode(err error) int {
	var e *exitError
	if errors.As(err, &e) {
		return e.code
	}
	switch fault.KindOf(err) {
	case fault.Usage:
		return exitUsage
	case fault.Denied:
		return exitDenied
	case fault.Untrusted:
		return exitUntrusted
	case fault.Internal, fault.Invalid, fault.NotFound, fault.Conflict, fault.Unavailable:
		return exitFailed
	}
	return exitFailed
}

// printable returns s with what comes from outside and could command a terminal,
// show a line in another order than it has, or not be seen (Unicode's control
// and format characters) replaced.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || !unicode.In(r, unicode.Cc, unicode.Cf) {
			return r
		}
		return '\uFFFD'
	}, s)
}
