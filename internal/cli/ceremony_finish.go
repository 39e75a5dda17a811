package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"plimsoll/internal/app"
	"plimsoll/internal/trust"
)

func newCeremonyFinish(env *Env) *cobra.Command {
	var with []string
	var yes string
	cmd := &cobra.Command{
		Use:   "finish FILE ANSWER…",
		Short: "Publish a ceremony that enough holders signed",
		Long: `Publish a ceremony that enough holders signed. Refused are answers that are short, altered, given
twice, or to another ceremony, and a ceremony that has ended or stands on trust data that has moved
on since. Keys that are held here sign what else must be signed (snapshot, timestamp, roles with
new keys), all at once or nothing. A ceremony that is published already is left as it is.

A ceremony that starts a repository rests on nothing that could vouch for it. Where it did not begin
on this machine, it is shown and must be confirmed, as for sign.`,
		Example: "  plimsoll trust ceremony finish root.ceremony root.ceremony.*.sig\n" +
			"  plimsoll trust ceremony finish root.ceremony alice.sig bob.txt --with file:keys/app.pem",
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.ceremonyFinish(cmd, args[0], args[1:], with, yes)
		},
	}
	cmd.Flags().StringVar(&yes, "yes", "", "the ceremony's fingerprint, instead of a confirmation on a terminal")
	withFlag(cmd, &with)
	return cmd
}

func (env *Env) ceremonyFinish(cmd *cobra.Command, file string, names, with []string, yes string) error {
	c, err := readCeremony(file)
	if err != nil {
		return err
	}
	answers, err := readAnswers(c, names)
	if err != nil {
		return err
	}
	s, err := stateOf(c, file, answers)
	if err != nil {
		return err
	}
	return env.publishAs(cmd, c.GUN(), with, c.Starts(), func(t *app.Trust, p *app.Publisher) error {
		if c.Starts() && !p.Record.Began(c) {
			if err := env.sayWords(c); err != nil {
				return err
			}
			if err := env.confirmCeremony(cmd.Context(), c, "publish what begins "+string(c.GUN()), yes); err != nil {
				return err
			}
		}
		err := env.publishing(c.GUN(), func() (err error) {
			s.Published, err = p.Finish(cmd.Context(), c, answers)
			return err
		})
		if err != nil {
			return err
		}
		if c.Starts() {
			if err := t.Pins.Set(cmd.Context(), c.GUN(), c.RootPins(), true); err != nil {
				return err
			}
		}
		return env.print(s, func(w io.Writer) { printFinished(w, c, s) })
	})
}

func printFinished(w io.Writer, c *trust.Ceremony, s ceremonyState) {
	if !s.Published {
		fmt.Fprintf(w, "%s: the ceremony was published before; nothing is left to do\n", s.GUN)
		return
	}
	fmt.Fprintf(w, "%s: the ceremony is published\n", s.GUN)
	if c.Starts() {
		fmt.Fprintf(w, "Whoever is to trust it puts this into their policy:\n\n%s", pinYAML(s.GUN, c.RootPins()))
	}
}
