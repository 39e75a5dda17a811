package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"plimsoll/internal/fault"
	"plimsoll/internal/policy"
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
	Unknown     []brokenRole `json:"unknown,omitempty"` // roles whose metadata is broken, expired or out of reach
	Expires     time.Time    `json:"expires,omitzero"`  // the soonest of the metadata used
	RootVersion int64        `json:"rootVersion"`
	RootKeys    []string     `json:"rootKeys"`

	Attested map[string]attestation `json:"attested,omitempty"` // of the root's keys, by fingerprint

	Lacks        []string `json:"lacks,omitempty"` // what a signature of another format does not say
	Attestations []stated `json:"attestations,omitempty"`
}

// basis is what a [verified] rests on.
type basis struct {
	served   v1.Descriptor
	speakers []trust.Speaker
	accept   []policy.Accept // instead of speakers, if the publisher has no root
}

type signedRole struct {
	Role    string     `json:"role"`
	Digest  ref.Digest `json:"digest"`
	Keys    []string   `json:"keys"` // fingerprints of those that signed
	Expires time.Time  `json:"expires,omitzero"`
	Format  string     `json:"format,omitempty"` // of a signature that is not trust data
	Signer  string     `json:"signer,omitempty"` // whom its certificate names
}

type brokenRole struct {
	Role   string `json:"role"`
	Reason string `json:"reason"`
	err    error
}

func newVerify(env *Env) *cobra.Command {
	var roles []string
	var attestation, platform string
	cmd := &cobra.Command{
		Use:   "verify IMAGE",
		Short: "Check that an image in a registry is the one that was signed",
		Long: `Check that an image in a registry is the one that was signed, and say by whom. Asked by tag, what
was signed under the tag decides; asked by digest, what was signed under the digest. Trust starts
from the root keys that are pinned for the repository. Where the policy says that a publisher
signs with cosign or notation instead (accept), such a signature of the digest decides, and what
it does not say is said.

With --attestation, a statement of that type must be there as well, made by a role that may sign
the repository's images.`,
		Example: "  plimsoll verify registry.example.com/team/app:1.4\n" +
			"  plimsoll verify registry.example.com/team/app:1.4 --role releases --role security\n" +
			"  plimsoll verify registry.example.com/team/app:1.4 --attestation cyclonedx -o json | jq '.attestations[].predicate'",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			// It lives for milliseconds and holds a few megabytes: collecting them
			// would cost a tenth of that.
			debug.SetGCPercent(400)
			if err := env.checkOutput(); err != nil {
				return err
			}
			r, err := inRegistry(args[0])
			if err != nil {
				return err
			}
			predicateType := ""
			if attestation != "" {
				if predicateType, err = parsePredicateType(attestation); err != nil {
					return err
				}
			} else if platform != "" {
				return fault.Errorf(fault.Usage, "--platform goes with --attestation: a signature of an image is one for all its platforms")
			}
			progress := env.startProgress("verifying " + r.String())
			v, b, err := env.verify(cmd.Context(), r, roles)
			if err == nil && predicateType != "" {
				err = env.verifyAttestation(cmd.Context(), v, b, statementWanted{predicateType, platform, roles})
			}
			progress.finish()
			if err != nil {
				return err
			}
			return env.printVerified(v)
		},
	}
	cmd.Flags().StringVar(&attestation, "attestation", "", "type of a statement that must be there: "+strings.Join(predicateNames(), ", ")+", or a URI")
	cmd.Flags().StringVar(&platform, "platform", "", "look for the statement about this platform's image, such as linux/arm64, instead of about the whole")
	cmd.Flags().StringArrayVar(&roles, "role", nil, "role that must name the image; repeat it for several")
	return cmd
}

func (env *Env) verify(ctx context.Context, r ref.Reference, roles []string) (*verified, *basis, error) {
	if gun, accept, err := env.Settings.Accepts(r); err != nil || len(accept) > 0 {
		if err != nil {
			return nil, nil, err
		}
		return env.verifyForeign(ctx, gun, r, accept, roles)
	}
	gun, pins, err := env.Settings.Known(r)
	if err != nil {
		return nil, nil, err
	}
	services := env.Settings.Trust(env)
	served, err := services.Registry.Manifest(ctx, r)
	if err != nil {
		return nil, nil, err // before the evidence: what cannot be looked at is neither good nor bad
	}
	v, b, err := env.evidence(ctx, services.Client, gun, pins, r)
	if fault.Is(err, fault.NotFound) {
		return nil, nil, fault.As(fault.Untrusted, err) // evidence was looked for and is missing
	} else if err != nil {
		return nil, nil, err
	}
	if served.Digest != v.Digest {
		err := fault.Errorf(fault.Untrusted, "%q was signed as %s by %s, and the registry serves %s", r, v.Digest, v.DecidedBy, served.Digest)
		return nil, nil, fault.Hint(err, "its publisher signs what was pushed since, or pushes what was signed; %s@%s is what was signed", r.GUN(), v.Digest)
	}
	b.served = served.Descriptor
	for _, role := range roles {
		i := slices.IndexFunc(v.Roles, func(s signedRole) bool { return s.Role == role })
		if u := slices.IndexFunc(v.Unknown, func(u brokenRole) bool { return u.Role == role }); u >= 0 {
			return nil, nil, v.Unknown[u].err
		}
		if i < 0 {
			err := fault.Errorf(fault.Untrusted, "role %q does not name %q", role, r)
			return nil, nil, fault.Hint(err, "whoever holds its key runs: plimsoll sign %s --as %s", r, role)
		}
		if v.Roles[i].Digest != v.Digest {
			return nil, nil, fault.Errorf(fault.Untrusted, "role %q names %s for %q, not %s", role, v.Roles[i].Digest, r, v.Digest)
		}
	}
	return v, b, nil
}

// evidence returns what the trust data of gun says about r.
func (env *Env) evidence(ctx context.Context, c *trust.Client, gun ref.GUN, pins trust.Pins, r ref.Reference) (v *verified, b *basis, err error) {
	trusted, err := c.Refresh(ctx, gun, pins)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, trusted.Close()) }()
	s, err := trusted.Statement(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	v = &verified{Image: r.String(), GUN: s.GUN, Expires: s.Expires, RootVersion: s.RootVersion, RootKeys: s.RootKeys}
	if v.Attested, err = env.attestations(s.Attestations); err != nil {
		return nil, nil, err
	}
	if v.DecidedBy, v.Digest, err = trusted.Decide(ctx, r); err != nil {
		return nil, nil, err
	}
	for _, role := range trusted.Order() {
		if err := s.Errors[role]; err != nil {
			v.Unknown = append(v.Unknown, brokenRole{role, err.Error(), err})
		} else if d, ok := s.Roles[role]; ok {
			v.Roles = append(v.Roles, signedRole{Role: role, Digest: d, Keys: s.Signers[role], Expires: s.Expiries[role]})
		}
	}
	b = new(basis)
	b.speakers, err = trusted.SpeakersFor(r)
	return v, b, err
}

func (env *Env) printVerified(v *verified) error {
	return env.print(v, func(w io.Writer) {
		if v.Lacks != nil {
			foreignTable(w, v)
		} else {
			fmt.Fprintf(w, "%s\n%s, valid until %s\n\nROLE\tSIGNED BY\tNAMES\n", printable(v.Image), v.Digest, date(v.Expires))
		}
		for _, r := range v.Roles {
			names := "this image"
			if r.Digest != v.Digest {
				names = "another: " + string(r.Digest)
			}
			if r.Format != "" {
				names = r.Format
			}
			for i, k := range r.Keys {
				if i > 0 {
					r.Role, names = "", ""
				}
				if k = short(k); r.Signer != "" {
					k = r.Signer
				}
				fmt.Fprintf(w, "%s\t%s\t%s\n", printable(r.Role), oneLine(k), names)
			}
		}
		for _, u := range v.Unknown {
			fmt.Fprintf(w, "%s\t-\tnot known: %s\n", printable(u.Role), printable(u.Reason))
		}
		if len(v.Attested) > 0 {
			fmt.Fprint(w, "\nROOT KEY\tTOKEN\n")
			for _, k := range v.RootKeys {
				fmt.Fprintf(w, "%s\t%s\n", short(k), oneLine(v.Attested[k].words()))
			}
		}
		lacksTable(w, v)
		statedTable(w, v)
	})
}
