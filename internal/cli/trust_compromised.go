package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

type compromisedFlags struct {
	lost, stolen, remove           bool
	replace, file, until           string
	keep, keepRoles, with, expires []string
}

func newTrustCompromised(env *Env) *cobra.Command {
	var f compromisedFlags
	cmd := &cobra.Command{
		Use:   "compromised GUN KEY",
		Short: "Say what a lost or stolen key could sign and did, and take it away",
		Long: `Say what a key could sign, what it did sign, and whom it takes to take it away. KEY is a
fingerprint or a key ID; its first eight digits are enough. Nothing is changed unless --replace or
--remove is given.

With them, say how the key went. --lost: nobody else has it, so what it signed stands and is signed
again. --stolen: whoever has it may have signed as every role that it alone speaks for; of these
roles only what you name with --keep (tags, digests) and --keep-role (roles that targets delegates
to) is signed again, after you looked at it.

Where the keys that it takes are here, it is done at once; otherwise what is to be signed is written
to the file of a ceremony.`,
		Example: "  plimsoll trust compromised registry.example.com/team/app sha256:9c41aa07\n" +
			"  plimsoll trust compromised registry.example.com/team/app sha256:9c41aa07 --lost --replace file:keys/new.pem\n" +
			"  plimsoll trust compromised registry.example.com/team/app sha256:9c41aa07 --stolen --replace file:keys/new.pem --keep 1.4\n" +
			"  plimsoll trust compromised registry.example.com/team/app sha256:77ab0d3e --lost --replace dave.pub.pem --ceremony root.ceremony",
		Args: cobra.ExactArgs(2),
		RunE: withGUN(func(cmd *cobra.Command, gun ref.GUN, args []string) error {
			return env.compromised(cmd, gun, args[1], f)
		}),
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.lost, "lost", false, "nobody else has the key")
	flags.BoolVar(&f.stolen, "stolen", false, "somebody else may have the key")
	flags.StringVar(&f.replace, "replace", "", "URI of a new key, or file of a public key, to put in its place")
	flags.BoolVar(&f.remove, "remove", false, "take the key away without a new one")
	flags.StringArrayVar(&f.keep, "keep", nil, "tag, or digest, that you looked at and that is yours; repeat it for each")
	flags.StringArrayVar(&f.keepRoles, "keep-role", nil, "delegated role that is yours; repeat it for each")
	flags.StringVar(&f.file, "ceremony", "", "file to write, if keys are needed that are not here (default: replace-KEY.ceremony)")
	flags.StringVar(&f.until, "until", "14d", "how long that ceremony is open")
	expiresFlag(cmd, &f.expires)
	withFlag(cmd, &f.with)
	return cmd
}

// exposureState is what the command says.
type exposureState struct {
	GUN         ref.GUN         `json:"gun"`
	Fingerprint string          `json:"fingerprint"`
	KeyID       string          `json:"keyid"`
	Type        string          `json:"type"`
	Roles       []exposedState  `json:"roles"`
	Signed      []signedState   `json:"signed"`
	Needs       []recoveryState `json:"needs"`
	Done        bool            `json:"done"`               // the key is taken away
	Ceremony    *ceremonyState  `json:"ceremony,omitempty"` // what others must sign for that
	Again       []againState    `json:"again,omitempty"`    // what must be signed again
}

// exposedState is a role that the key speaks for, or did.
type exposedState struct {
	Role      string   `json:"role"`
	Alone     bool     `json:"alone"`
	Threshold int      `json:"threshold"`
	Keys      int      `json:"keys"`
	FirstRoot int64    `json:"firstRoot,omitempty"`
	LastRoot  int64    `json:"lastRoot,omitempty"`
	Paths     []string `json:"paths,omitempty"`
}

// signedState is a metadata file that carries the key's signature, or what a role
// says for which the key needs nobody else.
type signedState struct {
	Role        string      `json:"role"`
	Version     int64       `json:"version"`
	Expires     time.Time   `json:"expires"`
	Since       bool        `json:"since"` // other keys signed it last, on top of what the key may have signed
	Names       []nameState `json:"names,omitempty"`
	Delegations []string    `json:"delegations,omitempty"`
}

type nameState struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
}

// recoveryState is a document that takes the key away.
type recoveryState struct {
	Document string   `json:"document"`
	Takes    int      `json:"takes"`
	Of       []string `json:"of"`
	WithIt   int      `json:"withIt"`
}

// againState is what a role no longer says.
type againState struct {
	Role  string   `json:"role"`
	Names []string `json:"names"`
}

func exposureOf(e *trust.Exposure) exposureState {
	v := exposureState{GUN: e.GUN, Fingerprint: e.Fingerprint, KeyID: e.KeyID, Type: e.Type, Roles: []exposedState{}, Signed: []signedState{}, Needs: []recoveryState{}}
	for _, r := range e.Roles {
		v.Roles = append(v.Roles, exposedState{r.Role, r.Alone(), r.Threshold, r.Keys, r.FirstRoot, r.LastRoot, r.Paths})
	}
	for _, s := range e.Signed {
		one := signedState{Role: s.Role, Version: s.Version, Expires: s.Expires, Since: s.Since, Delegations: s.Roles}
		for _, n := range s.Names {
			one.Names = append(one.Names, nameState{n.Name, n.Digest})
		}
		v.Signed = append(v.Signed, one)
	}
	for _, n := range e.Needs {
		v.Needs = append(v.Needs, recoveryState{n.Document, n.Takes, n.Of, n.WithIt})
	}
	return v
}

func (env *Env) compromised(cmd *cobra.Command, gun ref.GUN, name string, f compromisedFlags) error {
	change, err := f.check()
	if err != nil {
		return err
	}
	if err := env.checkOutput(); err != nil {
		return err
	}
	services := env.Settings.Trust(env)
	var e *trust.Exposure
	err = env.during("reading trust data of "+string(gun), func() (err error) {
		e, err = exposure(cmd.Context(), services, gun, name)
		return err
	})
	if err != nil {
		return err
	}
	v := exposureOf(e)
	if !change {
		return env.print(v, func(w io.Writer) { printExposure(w, v) })
	}
	if len(v.Needs) == 0 {
		return fault.Errorf(fault.NotFound, "no role of %q has key %s any more", gun, v.Fingerprint)
	}
	return env.publish(cmd, gun, f.with, func(_ *app.Trust, p *app.Publisher) error {
		if err := p.SetExpiries(func(r *trust.Record) error { return setExpiries(r, f.expires) }); err != nil {
			return err
		}
		if err := env.takeAway(cmd.Context(), p, &v, f); err != nil {
			return err
		}
		return env.print(v, func(w io.Writer) { printTakenAway(w, v) })
	})
}

// check refuses flags that do not go together, and reports whether something is
// to be changed.
func (f *compromisedFlags) check() (change bool, err error) {
	change = f.replace != "" || f.remove
	switch {
	case f.replace != "" && f.remove:
		return false, fault.Errorf(fault.Usage, "--replace and --remove do not go together")
	case f.lost && f.stolen:
		return false, fault.Errorf(fault.Usage, "--lost and --stolen do not go together; if in doubt it is stolen")
	case change && !f.lost && !f.stolen:
		err := fault.Errorf(fault.Usage, "say how the key went: --lost or --stolen")
		return false, fault.Hint(err, "--lost signs again what the key signed; --stolen only what you --keep")
	case !f.stolen && len(f.keep)+len(f.keepRoles) > 0:
		return false, fault.Errorf(fault.Usage, "--keep and --keep-role go with --stolen")
	}
	return change, nil
}

func exposure(ctx context.Context, t *app.Trust, gun ref.GUN, name string) (e *trust.Exposure, err error) {
	trusted, err := inspect(ctx, t, gun)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, trusted.Close()) }()
	return trusted.Exposure(ctx, name)
}

// takeAway does it with the keys that are here, or writes the ceremony.
func (env *Env) takeAway(ctx context.Context, p *app.Publisher, v *exposureState, f compromisedFlags) error {
	r := trust.Replacement{Old: v.Fingerprint}
	if f.replace != "" {
		k, err := someKey(ctx, p, f.replace)
		if err != nil {
			return fmt.Errorf("key %q: %w", f.replace, err)
		}
		r.New = k
	}
	lasts, err := parseDays(f.until)
	if err != nil {
		return fault.Errorf(fault.Usage, "--until %q: want a time, as in 14d", f.until)
	}
	ch := trust.Changes{Replace: []trust.Replacement{r}, Until: time.Now().Add(lasts).Truncate(time.Second), Held: p.Held}
	if f.stolen {
		if ch.Sift, err = env.sift(ctx, v, f); err != nil {
			return err
		}
	}
	err = env.during("reading trust data of "+string(v.GUN), func() (err error) {
		v.Done, err = p.CanChange(ctx, ch)
		return err
	})
	if err != nil {
		return err
	}
	if v.Done {
		return env.publishing(v.GUN, func() error { return p.Change(ctx, ch) })
	}
	return env.writeReplacement(ctx, p, v, f, ch)
}

func (env *Env) writeReplacement(ctx context.Context, p *app.Publisher, v *exposureState, f compromisedFlags, ch trust.Changes) error {
	file := f.file
	if file == "" {
		file = fmt.Sprintf("replace-%s.ceremony", strings.TrimPrefix(v.Fingerprint, "sha256:")[:16])
	}
	s, err := env.writeCeremony(ctx, p, file, ch)
	v.Ceremony = &s
	return err
}
