package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

// verified is what verify says.
type verified struct {
	Image       string       `json:"image"`
	GUN         ref.GUN      `json:"gun"`
	Digest      ref.Digest   `json:"digest"`    // what the registry serves and the signature names
	DecidedBy   string       `json:"decidedBy"` // the most trusted role that names the image
	Roles       []signedRole `json:"roles"`
	Expires     time.Time    `json:"expires"` // the soonest of the metadata used
	RootVersion int64        `json:"rootVersion"`
	RootKeys    []string     `json:"rootKeys"`

	Attested map[string]attestation `json:"attested,omitempty"` // of the root's keys, by fingerprint
}

type signedRole struct {
	Role    string     `json:"role"`
	Digest  ref.Digest `json:"digest"`
	Keys    []string   `json:"keys"` // fingerprints of those that signed
	Expires time.Time  `json:"expires"`
}

func newVerify(env *Env) *cobra.Command {
	var roles []string
	cmd := &cobra.Command{
		Use:   "verify IMAGE",
		Short: "Check that an image in a registry is the one that was signed",
		Long: `Check that an image in a registry is the one that was signed, and say by whom. Asked by tag, what
was signed under the tag decides; asked by digest, what was signed under the digest. Trust starts
from the root keys that are pinned for the repository.`,
		Example: "  plimsoll verify registry.example.com/team/app:1.4\n" +
			"  plimsoll verify registry.example.com/team/app:1.4 --role releases --role security",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := env.checkOutput(); err != nil {
				return err
			}
			r, err := inRegistry(args[0])
			if err != nil {
				return err
			}
			progress := env.startProgress("verifying " + r.String())
			v, err := env.verify(cmd.Context(), r, roles)
			progress.finish()
			if err != nil {
				return err
			}
			return env.printVerified(v)
		},
	}
	cmd.Flags().StringArrayVar(&roles, "role", nil, "role that must name the image; repeat it for several")
	return cmd
}

func (env *Env) verify(ctx context.Context, r ref.Reference, roles []string) (*verified, error) {
	gun, pins, err := env.Settings.Known(r)
	if err != nil {
		return nil, err
	}
	served, err := env.Settings.Registry().Manifest(ctx, r)
	if err != nil {
		return nil, err // before the evidence: what cannot be looked at is neither good nor bad
	}
	v, err := env.evidence(ctx, gun, pins, r)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.As(fault.Untrusted, err) // evidence was looked for and is missing
	} else if err != nil {
		return nil, err
	}
	if served.Digest != v.Digest {
		err := fault.Errorf(fault.Untrusted, "%q was signed as %s by %s, and the registry serves %s", r, v.Digest, v.DecidedBy, served.Digest)
		return nil, fault.Hint(err, "its publisher signs what was pushed since, or pushes what was signed; %s@%s is what was signed", r.GUN(), v.Digest)
	}
	for _, role := range roles {
		i := slices.IndexFunc(v.Roles, func(s signedRole) bool { return s.Role == role })
		if i < 0 {
			err := fault.Errorf(fault.Untrusted, "role %q does not name %q", role, r)
			return nil, fault.Hint(err, "whoever holds its key runs: plimsoll sign %s --as %s", r, role)
		}
		if v.Roles[i].Digest != v.Digest {
			return nil, fault.Errorf(fault.Untrusted, "role %q names %s for %q, not %s", role, v.Roles[i].Digest, r, v.Digest)
		}
	}
	return v, nil
}

// evidence returns what the trust data of gun says about r.
func (env *Env) evidence(ctx context.Context, gun ref.GUN, pins trust.Pins, r ref.Reference) (v *verified, err error) {
	trusted, err := env.Settings.Trust(env).Client.Refresh(ctx, gun, pins)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, trusted.Close()) }()
	s, err := trusted.Statement(ctx, r)
	if err != nil {
		return nil, err
	}
	v = &verified{Image: r.String(), GUN: s.GUN, Expires: s.Expires, RootVersion: s.RootVersion, RootKeys: s.RootKeys}
	if v.Attested, err = env.attestations(s.Attestations); err != nil {
		return nil, err
	}
	if v.DecidedBy, v.Digest, err = trusted.Decide(ctx, r); err != nil {
		return nil, err
	}
	status, err := trusted.Status(ctx)
	if err != nil {
		return nil, err
	}
	for _, role := range status.Roles {
		if d, ok := s.Roles[role.Role]; ok {
			v.Roles = append(v.Roles, signedRole{role.Role, d, signers(role), role.Expires})
		}
	}
	return v, nil
}

func signers(r trust.RoleStatus) []string {
	var all []string
	for _, k := range r.Keys {
		if k.Signed {
			all = append(all, k.Fingerprint)
		}
	}
	return all
}

func (env *Env) printVerified(v *verified) error {
	return env.print(v, func(w io.Writer) {
		fmt.Fprintf(w, "%s\n%s, valid until %s\n\nROLE\tSIGNED BY\tNAMES\n", printable(v.Image), v.Digest, date(v.Expires))
		for _, r := range v.Roles {
			names := "this image"
			if r.Digest != v.Digest {
				names = "another: " + string(r.Digest)
			}
			for i, k := range r.Keys {
				if i > 0 {
					r.Role, names = "", ""
				}
				fmt.Fprintf(w, "%s\t%s\t%s\n", printable(r.Role), short(k), names)
			}
		}
		if len(v.Attested) > 0 {
			fmt.Fprint(w, "\nROOT KEY\tTOKEN\n")
			for _, k := range v.RootKeys {
				fmt.Fprintf(w, "%s\t%s\n", short(k), oneLine(v.Attested[k].words()))
			}
		}
	})
}
