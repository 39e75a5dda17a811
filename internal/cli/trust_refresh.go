package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

type refreshFlags struct {
	with, expires []string
	every         string
	force         bool
}

func newTrustRefresh(env *Env) *cobra.Command {
	var f refreshFlags
	cmd := &cobra.Command{
		Use:   "refresh GUN…",
		Short: "Sign snapshot and timestamp again, before they expire",
		Long: `Sign snapshot and timestamp again, so that clients see that nothing was held back: if one of them
has less than half of its life left, or with --force. Signing an image does this as well. --expires
is remembered for this machine's later signatures.

With --every it goes on as a service: it looks at each repository every so often, says on standard
error what it did and which roles expire soon, tries again when something fails, and ends when it is
told to (SIGTERM, Ctrl-C).`,
		Example: "  plimsoll trust refresh registry.example.com/team/app\n" +
			"  plimsoll trust refresh registry.example.com/team/app --expires snapshot=30d --expires timestamp=30d\n" +
			"  plimsoll trust refresh registry.example.com/team/app registry.example.com/team/web --every 6h",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return env.trustRefresh(cmd.Context(), args, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.every, "every", "", "go on as a service, and look this often")
	flags.BoolVar(&f.force, "force", false, "sign even if more than half of the time is left")
	expiresFlag(cmd, &f.expires)
	withFlag(cmd, &f.with)
	return cmd
}

// refreshed is what refresh says of one repository.
type refreshed struct {
	GUN     ref.GUN    `json:"gun"`
	Signed  bool       `json:"signed"`
	Expires time.Time  `json:"expires"` // the sooner of snapshot's and timestamp's
	Roles   []roleSoon `json:"soon"`
}

// roleSoon is a role that needs somebody soon.
type roleSoon struct {
	Role    string    `json:"role"`
	Expires time.Time `json:"expires"`
}

func (env *Env) trustRefresh(ctx context.Context, names []string, f refreshFlags) (err error) {
	if err := env.checkOutput(); err != nil {
		return err
	}
	var guns []ref.GUN
	for _, name := range names {
		gun, err := ref.ParseGUN(name)
		if err != nil {
			return err
		}
		guns = append(guns, gun)
	}
	k := &keepers{env: env, services: env.Settings.Trust(env), flags: f, open: map[ref.GUN]*app.Publisher{}}
	defer func() { err = errors.Join(err, k.close()) }()
	if f.every != "" {
		return env.keepFresh(ctx, k, guns)
	}
	var done []refreshed
	for _, gun := range guns {
		var r app.Refreshed
		err := env.publishing(gun, func() (err error) {
			r, err = k.refresh(ctx, gun)
			return err
		})
		if err != nil {
			return err
		}
		done = append(done, refreshedOf(gun, r))
	}
	return env.printRefreshed(done)
}

// keepFresh runs the service.
func (env *Env) keepFresh(ctx context.Context, k *keepers, guns []ref.GUN) error {
	every, err := parseDays(k.flags.every)
	if err != nil {
		return fault.Errorf(fault.Usage, "--every %q: want a time, as in 6h", k.flags.every)
	}
	for _, gun := range guns { // a key that does not open is said now, not in the night
		if _, err := k.publisher(ctx, gun); err != nil {
			return err
		}
	}
	log := slog.New(slog.NewTextHandler(logLines{env}, nil))
	log.Info("keeping trust data fresh", slog.Int("repositories", len(guns)), slog.Duration("every", every))
	return (&app.Keeper{GUNs: guns, Every: every, Refresh: k.refresh, Log: log}).Run(ctx)
}

// logLines is standard error, on which nothing may command a terminal.
type logLines struct{ env *Env }

func (l logLines) Write(b []byte) (int, error) {
	_, err := io.WriteString(l.env.Err, printable(string(b)))
	return len(b), err
}

// keepers has each repository's keys open from one look to the next: a service
// must not ask a token for its PIN again and again.
type keepers struct {
	env      *Env
	services *app.Trust
	flags    refreshFlags
	open     map[ref.GUN]*app.Publisher
}

func (k *keepers) publisher(ctx context.Context, gun ref.GUN) (*app.Publisher, error) {
	if p := k.open[gun]; p != nil {
		return p, nil
	}
	p, err := k.services.Publisher(ctx, gun, k.flags.with, false)
	if err != nil {
		return nil, err
	}
	k.open[gun] = p
	return p, p.SetExpiries(func(r *trust.Record) error { return setExpiries(r, k.flags.expires) })
}

func (k *keepers) refresh(ctx context.Context, gun ref.GUN) (app.Refreshed, error) {
	p, err := k.publisher(ctx, gun)
	if err != nil {
		return app.Refreshed{}, err
	}
	r, err := p.Refresh(ctx, k.flags.force || (len(k.flags.expires) > 0 && k.flags.every == ""))
	if err != nil {
		// A token may have been pulled out: what was open is opened anew.
		return r, errors.Join(err, p.Close())
	}
	return r, p.Remember()
}

func (k *keepers) close() error {
	var all []error
	for _, p := range k.open {
		all = append(all, p.Close())
	}
	return errors.Join(all...)
}

func refreshedOf(gun ref.GUN, r app.Refreshed) refreshed {
	v := refreshed{GUN: gun, Signed: r.Signed, Roles: []roleSoon{}}
	for _, role := range r.Status.Roles {
		switch {
		case role.Expires.IsZero():
			continue
		case role.Role == trust.RoleSnapshot || role.Role == trust.RoleTimestamp:
			if v.Expires.IsZero() || role.Expires.Before(v.Expires) {
				v.Expires = role.Expires
			}
		}
		if role.Expires.Sub(r.Status.Now) < r.Times.Notice(role.Role) {
			v.Roles = append(v.Roles, roleSoon{role.Role, role.Expires})
		}
	}
	return v
}

func (env *Env) printRefreshed(all []refreshed) error {
	return env.print(all, func(w io.Writer) {
		for _, r := range all {
			word := "is fresh enough"
			if r.Signed {
				word = "is fresh"
			}
			fmt.Fprintf(w, "%s %s: snapshot and timestamp are valid until %s\n", r.GUN, word, date(r.Expires))
			for _, s := range r.Roles {
				fmt.Fprintf(w, "  %s expires at %s: %s\n", printable(s.Role), date(s.Expires), renewal(r.GUN, s.Role))
			}
		}
	})
}

// renewal returns the command that makes a role's metadata last longer.
func renewal(gun ref.GUN, role string) string {
	switch role {
	case trust.RoleRoot:
		return fmt.Sprintf("plimsoll trust ceremony begin %s FILE --renew", gun)
	case trust.RoleSnapshot, trust.RoleTimestamp:
		return fmt.Sprintf("plimsoll trust refresh %s", gun)
	case trust.RoleTargets:
		return "sign any image as targets"
	}
	return fmt.Sprintf("sign any image --as %s", printable(role))
}
