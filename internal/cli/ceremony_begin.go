package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

type beginFlags struct {
	init, renew                           bool
	keys, thresholds, paths, attestations []string
	replace, remove, sign, with, expires  []string
	as, until                             string
}

func newCeremonyBegin(env *Env) *cobra.Command {
	var f beginFlags
	cmd := &cobra.Command{
		Use:   "begin GUN FILE",
		Short: "Write the file of what several holders are to sign",
		Long: `Write the file of what several holders are to sign. It stands on the trust data as it is now and
holds all that is needed to verify it without a network; nothing is signed or published. A KEY is
the URI of a key that is held here, the file of a public key (PEM), or the fingerprint of a key
that the repository has already (its first eight digits are enough). All changes are made at once.
What only needs keys that are held here is signed by finish and not put to the holders.`,
		Example: "  plimsoll trust ceremony begin registry.example.com/team/app start.ceremony --init \\\n" +
			"    --key root=alice.pub.pem --key root=bob.pub.pem --key root=carol.pub.pem --threshold root=2 --key targets=file:app.pem\n" +
			"  plimsoll trust ceremony begin registry.example.com/team/app root.ceremony --replace sha256:9c41aa07=dave.pub.pem\n" +
			"  plimsoll trust ceremony begin registry.example.com/team/app root.ceremony --renew --until 30d\n" +
			"  plimsoll trust ceremony begin registry.example.com/team/app 1.4.ceremony --sign registry.example.com/team/app:1.4 --as security",
		Args: cobra.ExactArgs(2),
		RunE: withGUN(func(cmd *cobra.Command, gun ref.GUN, args []string) error {
			return env.ceremonyBegin(cmd, gun, args[1], f)
		}),
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.init, "init", false, "start the repository's trust data")
	flags.StringArrayVar(&f.keys, "key", nil, "ROLE=KEY, a key that the role is to have; repeat it for each: others it loses")
	flags.StringArrayVar(&f.thresholds, "threshold", nil, "ROLE=N, how many of the role's keys must sign (default: as before; of a new root more than half, otherwise 1)")
	flags.StringArrayVar(&f.paths, "path", nil, "ROLE=PATTERN, what a delegated role may name (default: as before, or all)")
	flags.StringArrayVar(&f.attestations, "attestation", nil, "file of what the token of one of these keys proves (plimsoll key attest URI --out FILE)")
	flags.StringArrayVar(&f.replace, "replace", nil, "OLD=KEY, put KEY where the key OLD stands, in every role")
	flags.StringArrayVar(&f.remove, "remove", nil, "KEY, take it away from every role")
	flags.BoolVar(&f.renew, "renew", false, "sign a new root, before this one expires")
	flags.StringArrayVar(&f.sign, "sign", nil, "IMAGE to be signed, in this repository; repeat it for several")
	flags.StringVar(&f.as, "as", "", "role that signs the images")
	flags.StringVar(&f.until, "until", "14d", "how long the ceremony is open")
	expiresFlag(cmd, &f.expires)
	withFlag(cmd, &f.with)
	return cmd
}

func (env *Env) ceremonyBegin(cmd *cobra.Command, gun ref.GUN, file string, f beginFlags) error {
	lasts, err := parseDays(f.until)
	if err != nil {
		return fault.Errorf(fault.Usage, "--until %q: want a time, as in 14d", f.until)
	}
	if (len(f.sign) > 0) != (f.as != "") {
		return fault.Errorf(fault.Usage, "--sign and --as go together: which image, and which role signs it")
	}
	return env.publishAs(cmd, gun, f.with, f.init, func(t *app.Trust, p *app.Publisher) error {
		ch := trust.Changes{Init: f.init, Renew: f.renew, As: f.as, Until: time.Now().Add(lasts).Truncate(time.Second), Held: p.Held}
		if err := f.changes(cmd.Context(), t, p, gun, &ch); err != nil {
			return err
		}
		if err := p.SetExpiries(func(r *trust.Record) error { return setExpiries(r, f.expires) }); err != nil {
			return err
		}
		if err := env.examineAll(cmd.Context(), gun, f.sign, &ch); err != nil {
			return err
		}
		return env.propose(cmd.Context(), p, file, ch)
	})
}

// propose writes the ceremony's file and says what stands in it.
func (env *Env) propose(ctx context.Context, p *app.Publisher, file string, ch trust.Changes) error {
	s, err := env.writeCeremony(ctx, p, file, ch)
	if err != nil {
		return err
	}
	return env.print(s, func(w io.Writer) {
		printWords(w, s.Words)
		fmt.Fprintln(w)
		printNeeds(w, s)
		fmt.Fprintf(w, "\nThis is written to %s. Each holder runs: plimsoll trust ceremony sign %s --key URI\n", printable(file), printable(file))
	})
}

// writeCeremony writes the file of a ceremony that makes the changes.
func (env *Env) writeCeremony(ctx context.Context, p *app.Publisher, file string, ch trust.Changes) (ceremonyState, error) {
	var c *trust.Ceremony
	err := env.during("reading trust data of "+string(p.Record.GUN), func() (err error) {
		c, err = p.Propose(ctx, ch)
		return err
	})
	if err != nil {
		return ceremonyState{}, err
	}
	b, err := c.Marshal()
	if err != nil {
		return ceremonyState{}, err
	}
	if err := createFile(file, b); err != nil {
		return ceremonyState{}, err
	}
	p.Record.Begin(c)
	return stateOf(c, file, nil)
}

// inspect returns the trust data of gun as it is, expired or not.
func inspect(ctx context.Context, t *app.Trust, gun ref.GUN) (*trust.Trusted, error) {
	pins, err := t.Known(gun)
	if err != nil {
		return nil, err
	}
	return t.Client.Inspect(ctx, gun, pins)
}

// examineAll reads the images that are to be signed, every byte of them.
func (env *Env) examineAll(ctx context.Context, gun ref.GUN, names []string, ch *trust.Changes) error {
	if len(names) == 0 {
		return nil
	}
	all, err := inOneRepository(names)
	if err != nil {
		return err
	}
	if all[0].GUN() != gun {
		return fault.Errorf(fault.Usage, "--sign %q is in another repository than %q", names[0], gun)
	}
	progress := env.startProgress("reading images of " + string(gun))
	defer progress.finish()
	ch.Images, err = app.NewExaminer(env.Settings.Images(progress.add)).Examine(ctx, all...)
	return err
}
