package cli

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

func newTrust(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Say who may sign a repository's images, and see who does",
		Long: "Say who may sign a repository's images, and see who does.\n\n" +
			"A repository's trust data (TUF) lies in its registry, under the tag _trust. GUN is the repository's\n" +
			"name without a tag, as in registry.example.com/team/app.\n\n" + aboutKeys,
		Example: "  plimsoll trust init registry.example.com/team/app --root-key 'pkcs11:token=safe;object=root' --key file:keys/app.pem\n" +
			"  plimsoll trust status registry.example.com/team/app",
	}
	cmd.AddCommand(newTrustInit(env), newTrustDelegate(env), newTrustRotate(env), newTrustRevoke(env), newTrustRefresh(env), newTrustStatus(env), newTrustPin(env), newTrustCeremony(env), newTrustCompromised(env), newTrustFormats(env))
	return cmd
}

// withGUN makes a command of fn, which is given the repository that the first
// argument names.
func withGUN(fn func(cmd *cobra.Command, gun ref.GUN, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		gun, err := ref.ParseGUN(args[0])
		if err != nil {
			return err
		}
		return fn(cmd, gun, args)
	}
}

// publish runs fn with the publisher of gun and the keys at uris, and remembers
// the keys if it worked.
func (env *Env) publish(cmd *cobra.Command, gun ref.GUN, uris []string, fn func(*app.Trust, *app.Publisher) error) error {
	return env.publishAs(cmd, gun, uris, cmd.Name() == "init", fn)
}

// publishAs is publish for a collection that may be fresh: about to be started.
func (env *Env) publishAs(cmd *cobra.Command, gun ref.GUN, uris []string, fresh bool, fn func(*app.Trust, *app.Publisher) error) (err error) {
	if err := env.checkOutput(); err != nil {
		return err
	}
	services := env.Settings.Trust(env)
	p, err := services.Publisher(cmd.Context(), gun, uris, fresh)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	p.Announce = env.announce
	if err := fn(services, p); err != nil {
		return err
	}
	return p.Remember()
}

// publishing runs fn, which publishes trust data of gun.
func (env *Env) publishing(gun ref.GUN, fn func() error) error {
	return env.during("publishing trust data of "+string(gun), fn)
}

// published is what the commands that publish say.
type published struct {
	GUN    ref.GUN  `json:"gun"`
	Action string   `json:"action"`
	Roles  []string `json:"roles"`
	Keys   []string `json:"keys,omitempty"` // fingerprints
}

func (env *Env) printPublished(p published) error {
	return env.print(p, func(w io.Writer) {
		fmt.Fprintf(w, "%s %s: %s\n", p.GUN, p.Action, printable(strings.Join(p.Roles, ", ")))
	})
}

// expiresFlag takes ROLE=TIME.
func expiresFlag(cmd *cobra.Command, to *[]string) {
	cmd.Flags().StringArrayVar(to, "expires", nil, "ROLE=TIME, how long what a role signs is valid (root, targets, delegated: 365d, snapshot: 7d, timestamp: 14d)")
}

// setExpiries writes ROLE=TIME into a record, which remembers them.
func setExpiries(r *trust.Record, flags []string) error {
	known := trust.DefaultExpiries()
	for _, f := range flags {
		role, text, _ := strings.Cut(f, "=")
		d, err := parseDays(text)
		if _, ok := known[role]; !ok || err != nil {
			return fault.Errorf(fault.Usage, "--expires %q: want root, targets, delegated, snapshot or timestamp, and a time, as in snapshot=30d", f)
		}
		if r.Expiries == nil {
			r.Expiries = map[string]string{}
		}
		r.Expiries[role] = d.String()
	}
	return nil
}

// parseDays is [time.ParseDuration] that knows days as well.
func parseDays(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		d = time.Duration(n) * 24 * time.Hour
	}
	if err == nil && (d < time.Minute || d > 20*365*24*time.Hour) {
		err = fmt.Errorf("%s is too short or too long", s)
	}
	return d, err
}

func fingerprints(ks []*trust.Key) []string {
	var all []string
	for _, k := range ks {
		all = append(all, k.Fingerprint)
	}
	return all
}

// date returns a time for a table.
func date(t time.Time) string {
	if t.IsZero() {
		return "never signed"
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}
