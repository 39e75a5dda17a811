package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"plimsoll/internal/app"
	"plimsoll/internal/ref"
)

// revoked is what trust revoke says.
type revoked struct {
	GUN     ref.GUN    `json:"gun"`
	Digest  ref.Digest `json:"digest"`
	Role    string     `json:"role"`
	Removed []string   `json:"removed"` // names that the role no longer gives to the image
}

func newTrustRevoke(env *Env) *cobra.Command {
	var role string
	var with []string
	cmd := &cobra.Command{
		Use:   "revoke GUN DIGEST",
		Short: "Take a signature back",
		Long: `Take a role's signature of an image back: its digest and every tag that names it leave the role's
metadata, and no reader takes them from that role again once it has seen so. Other roles that name
the image go on naming it. DIGEST is what sign and verify show: an index's, or a single manifest's.`,
		Example: "  plimsoll trust revoke registry.example.com/team/app sha256:4f1c…\n" +
			"  plimsoll trust revoke registry.example.com/team/app sha256:4f1c… --as security",
		Args: cobra.ExactArgs(2),
		RunE: withGUN(func(cmd *cobra.Command, gun ref.GUN, args []string) error {
			digest, err := ref.ParseDigest(args[1])
			if err != nil {
				return err
			}
			return env.publish(cmd, gun, with, func(t *app.Trust, p *app.Publisher) error {
				ctx := cmd.Context()
				role, err := env.role(ctx, t, p, gun, role)
				if err != nil {
					return err
				}
				v := revoked{GUN: gun, Digest: digest, Role: role}
				err = env.publishing(gun, func() error {
					v.Removed, err = p.Revoke(ctx, role, digest)
					return err
				})
				if err != nil {
					return err
				}
				return env.printRevoked(v)
			})
		}),
	}
	asFlag(cmd, &role)
	withFlag(cmd, &with)
	return cmd
}

func (env *Env) printRevoked(v revoked) error {
	return env.print(v, func(w io.Writer) {
		fmt.Fprintf(w, "%s no longer names %s:\n", v.Role, v.Digest)
		for _, name := range v.Removed {
			fmt.Fprintf(w, "removed %s\n", oneLine(name))
		}
	})
}
