package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"plimsoll/internal/fault"
	"plimsoll/internal/feed"
	"plimsoll/internal/pack"
)

func newAdvisories(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "advisories",
		Short: "Keep what is known about vulnerable versions",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(newAdvisoriesBuild(env), newAdvisoriesStatus(env))
	return cmd
}

func newAdvisoriesBuild(env *Env) *cobra.Command {
	var o feed.Options
	cmd := &cobra.Command{
		Use:   "build DIR",
		Short: "Build packs of advisories from a folder of sources",
		Long: `Build packs of advisories from a folder of sources, and use them from now on.

DIR/sources.yaml names each source: its name, path, format, licence and the date
(asOf) by which its age is judged. Packs of ecosystems that DIR does not speak of
stay as they are. A record that cannot be read makes the build fail, and the packs
of before remain.`,
		Example: `  plimsoll advisories build ./advisories
  plimsoll advisories build ./advisories --skip-invalid -o json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := env.checkOutput(); err != nil {
				return err
			}
			p := env.startProgress("reading advisories")
			o.Progress = p.add
			built, reports, err := env.Settings.BuildAdvisories(cmd.Context(), args[0], o)
			p.finish()
			if err != nil {
				return err
			}
			env.warnInvalid(reports)
			v := struct {
				Packs   []pack.Info   `json:"packs"`
				Sources []feed.Report `json:"sources"`
			}{built, reports}
			return env.print(v, func(w io.Writer) { packsTable(w, built, time.Now()) })
		},
	}
	cmd.Flags().BoolVar(&o.SkipInvalid, "skip-invalid", false, "leave out records that cannot be read, and list them")
	return cmd
}

// warnInvalid lists the records that were left out because they could not be
// read.
func (env *Env) warnInvalid(reports []feed.Report) {
	for _, r := range reports {
		for _, s := range r.Invalid {
			fmt.Fprintf(env.Err, "plimsoll: left out: source %q: %s\n", r.Source, printable(s))
		}
		if n := len(r.Invalid); n > 0 {
			fmt.Fprintf(env.Err, "plimsoll: warning: source %q: %d of %d records were left out\n", r.Source, n, n+r.Records+r.Left)
		}
	}
}

func newAdvisoriesStatus(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Say which advisories there are, and how old they are",
		Example: "  plimsoll advisories status\n  plimsoll advisories status -o json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := env.checkOutput(); err != nil {
				return err
			}
			store, err := env.Settings.Advisories()
			if err != nil {
				return err
			}
			packs := store.Packs()
			if err := store.Close(); err != nil {
				return err
			}
			if len(packs) == 0 {
				err := fault.Errorf(fault.NotFound, "there are no advisories in %q", env.Settings.AdvisoriesDir())
				return fault.Hint(err, "plimsoll advisories build DIR")
			}
			v := struct {
				Packs []pack.Info `json:"packs"`
			}{packs}
			return env.print(v, func(w io.Writer) { packsTable(w, packs, time.Now()) })
		},
	}
}

func packsTable(w io.Writer, packs []pack.Info, now time.Time) {
	fmt.Fprintln(w, "PACK\tSIZE\tSOURCE\tRECORDS\tAS OF\tAGE\tLICENCE")
	for _, p := range packs {
		name, size := oneLine(string(p.Ecosystem)), fmt.Sprintf("%.1f MB", float64(p.Size)/1e6)
		for _, s := range p.Sources {
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", name, size, oneLine(s.Name), s.Records, s.AsOf.Format(time.DateOnly), age(now.Sub(s.AsOf)), oneLine(s.Licence))
			name, size = "", ""
		}
	}
}

// age writes a duration in the unit that a person would use.
func age(d time.Duration) string {
	switch hours := d.Hours(); {
	case hours < 0:
		return "in the future"
	case hours < 48:
		return fmt.Sprintf("%.0f h", hours)
	default:
		return fmt.Sprintf("%.0f days", hours/24)
	}
}
