package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

func newSign(env *Env) *cobra.Command {
	var role string
	var uris []string
	cmd := &cobra.Command{
		Use:   "sign IMAGE",
		Short: "Sign an image in a registry, after reading every byte of it",
		Long: `Sign an image in a registry. Every layer of every platform is read first; an image that arrives
broken, or whose config claims other layers than it has, is not signed. What is signed is the
tag, the digest, and the platforms' manifests, configs and chains of layers.`,
		Example: "  plimsoll sign registry.example.com/team/app:1.4\n" +
			"  plimsoll sign registry.example.com/team/app:1.4 --as security --key file:keys/security.pem",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := inRegistry(args[0])
			if err != nil {
				return err
			}
			return env.publish(cmd, r.GUN(), uris, func(t *app.Trust, p *app.Publisher) error {
				return env.sign(cmd.Context(), t, p, r, role)
			})
		},
	}
	cmd.Flags().StringVar(&role, "as", "", "role to sign as (default: targets, or the one delegated role whose key is held here)")
	cmd.Flags().StringArrayVar(&uris, "key", nil, "URI of a key to sign with, beside those that are remembered")
	return cmd
}

// inRegistry returns the reference that name is. Trust data lies beside the
// image, so it must be in a registry.
func inRegistry(name string) (ref.Reference, error) {
	n, err := image.ParseName(name)
	if err != nil {
		return ref.Reference{}, err
	}
	if n.Scheme != image.Registry {
		err := fault.Errorf(fault.Usage, "%q is not in a registry, and trust data lies beside images there", name)
		return ref.Reference{}, fault.Hint(err, "plimsoll copy %s REGISTRY/REPOSITORY:TAG", name)
	}
	return n.Reference, nil
}

func (env *Env) sign(ctx context.Context, t *app.Trust, p *app.Publisher, r ref.Reference, role string) error {
	if role == "" {
		err := env.during("reading trust data of "+string(r.GUN()), func() (err error) {
			role, err = heldRole(ctx, t, p, r.GUN())
			return err
		})
		if err != nil {
			return err
		}
	}
	progress := env.startProgress("reading " + r.String())
	m, err := app.Examine(ctx, env.Settings.Images(progress.add), r)
	progress.finish()
	if err != nil {
		return err
	}
	if err := env.during("signing "+r.String(), func() error { return p.Sign(ctx, role, m) }); err != nil {
		return err
	}
	formats, err := env.signFormats(ctx, t, p, role, &m)
	if err != nil {
		return err
	}
	v := struct {
		Image     string     `json:"image"`
		GUN       ref.GUN    `json:"gun"`
		Tag       string     `json:"tag,omitempty"`
		Digest    ref.Digest `json:"digest"`
		Role      string     `json:"role"`
		Platforms []string   `json:"platforms"`
		Formats   []string   `json:"formats,omitempty"`
	}{r.String(), r.GUN(), m.Tag, m.Digest, role, nil, formats}
	for _, one := range m.Platforms {
		v.Platforms = append(v.Platforms, one.Platform)
	}
	return env.print(v, func(w io.Writer) {
		fmt.Fprintf(w, "signed %s as %s: %s\n", printable(v.Image), role, v.Digest)
		if len(formats) > 0 {
			fmt.Fprintf(w, "also signed for %s\n", listed(formats))
		}
	})
}

// heldRole returns the role that the keys held here speak for: targets, or the
// only delegated one.
func heldRole(ctx context.Context, t *app.Trust, p *app.Publisher, gun ref.GUN) (role string, err error) {
	pins, err := t.Known(gun)
	if err != nil {
		return "", err
	}
	trusted, err := t.Client.Inspect(ctx, gun, pins)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, trusted.Close()) }()
	s, err := trusted.Status(ctx)
	if err != nil {
		return "", err
	}
	var held []string
	for _, r := range s.Roles {
		for _, k := range r.Keys {
			if p.Record.URI(k.Fingerprint) != "" && r.Role != trust.RoleRoot && r.Role != trust.RoleSnapshot && r.Role != trust.RoleTimestamp {
				held = append(held, r.Role)
				break
			}
		}
	}
	switch {
	case len(held) == 0:
		err := fault.Errorf(fault.Unavailable, "no key that may sign images of %q is held here", gun)
		return "", fault.Hint(err, "name it with --key URI; plimsoll trust status %s shows whose keys they are", gun)
	case held[0] == trust.RoleTargets || len(held) == 1:
		return held[0], nil
	}
	return "", fault.Hint(fault.Errorf(fault.Usage, "keys of several roles are held here: %q", held), "say which with --as ROLE")
}
