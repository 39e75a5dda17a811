package cli

import (
	"context"
	"fmt"
	"io"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust/sigstore"
)

// attestResult is what attest says.
type attestResult struct {
	Image         string     `json:"image"`
	GUN           ref.GUN    `json:"gun"`
	About         ref.Digest `json:"about"`
	PredicateType string     `json:"predicateType"`
	Role          string     `json:"role"`
	Made          int        `json:"made"` // signatures; 0 if all was stated before
}

type attestFlags struct {
	predicate, kind, platform, role string
	sbom, scan                      bool
	uris                            []string
}

func newAttest(env *Env) *cobra.Command {
	var f attestFlags
	cmd := &cobra.Command{
		Use:   "attest IMAGE",
		Short: "State something about an image, signed: what is in it, how it was built, what is wrong with it",
		Long: `State something about an image in a registry: an in-toto statement in a Sigstore bundle beside the
image, as cosign attest stores it. It is signed by a role that may sign the repository's images, and
counts for readers as soon as so many of the role's keys made the same statement as its threshold
demands. The statement is a file, or made here: --sbom lists what is in the image, --scan says what
is known to be wrong with it.

A statement about an image of several platforms is about all of them, unless --platform names one;
--sbom and --scan are always about one.`,
		Example: `  plimsoll attest registry.example.com/team/app:1.4 --predicate provenance.json --type slsaprovenance
  plimsoll attest registry.example.com/team/app:1.4 --sbom --type spdx --platform linux/arm64
  plimsoll attest registry.example.com/team/app:1.4 --predicate review.json --type https://example.com/review/v1 --as security`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := inRegistry(args[0])
			if err != nil {
				return err
			}
			if err := f.check(); err != nil {
				return err
			}
			return env.publish(cmd, r.GUN(), f.uris, func(t *app.Trust, p *app.Publisher) error {
				return env.attest(cmd.Context(), t, p, r, f)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.predicate, "predicate", "", "file of the statement's predicate, in JSON; - is standard input")
	flags.StringVar(&f.kind, "type", "", "type of the predicate: "+listed(predicateNames())+", or a URI")
	flags.BoolVar(&f.sbom, "sbom", false, "state what is in the image (--type cyclonedx or spdx)")
	flags.BoolVar(&f.scan, "scan", false, "state what is known to be wrong with it (--type vuln)")
	flags.StringVar(&f.platform, "platform", "", "state it about one platform's image, such as linux/arm64")
	flags.StringVar(&f.role, "as", "", "role to state it as (default: as for sign)")
	flags.StringArrayVar(&f.uris, "key", nil, "URI of a key to sign with, beside those that are remembered")
	return cmd
}

// check refuses flags that do not go together, and fills in the type.
func (f *attestFlags) check() error {
	given := 0
	for _, one := range []bool{f.predicate != "", f.sbom, f.scan} {
		if one {
			given++
		}
	}
	if given != 1 {
		return fault.Errorf(fault.Usage, "say what to state: one of --predicate, --sbom and --scan")
	}
	switch {
	case f.sbom && f.kind == "":
		f.kind = "cyclonedx"
	case f.scan && f.kind == "":
		f.kind = "vuln"
	case f.sbom && f.kind != "cyclonedx" && f.kind != "spdx", f.scan && f.kind != "vuln":
		return fault.Errorf(fault.Usage, "--sbom makes cyclonedx or spdx, --scan makes vuln; not %q", f.kind)
	case f.kind == "":
		return fault.Hint(fault.Errorf(fault.Usage, "--type is missing"), "known are %s; any other is written as a URI", listed(predicateNames()))
	}
	_, err := parsePredicateType(f.kind)
	return err
}

func (env *Env) attest(ctx context.Context, t *app.Trust, p *app.Publisher, r ref.Reference, f attestFlags) error {
	top, err := env.Settings.Registry().Manifest(ctx, r)
	if err != nil {
		return err
	}
	r = r.WithDigest(top.Digest) // from here on nobody can move the tag
	predicateType, _ := parsePredicateType(f.kind)
	predicate, about, err := env.predicate(ctx, r, top.Descriptor, f)
	if err != nil {
		return err
	}
	if mark := predicateMarks[predicateType]; mark != "" && !hasField(predicate, mark) {
		return fault.Errorf(fault.Invalid, "the predicate has no field %q, so it is no %s", mark, f.kind)
	}
	s, err := sigstore.NewStatement(string(r.GUN()), about.Digest, predicateType, predicate)
	if err != nil {
		return err
	}
	role := f.role
	if role == "" {
		if role, err = heldRole(ctx, t, p, r.GUN()); err != nil {
			return err
		}
	}
	v := attestResult{Image: r.String(), GUN: r.GUN(), About: about.Digest, PredicateType: predicateType, Role: role}
	if v.Made, err = env.state(ctx, t, p, role, about, s); err != nil {
		return err
	}
	return env.print(v, func(w io.Writer) {
		if v.Made == 0 {
			fmt.Fprintf(w, "%s stated that about %s before\n", printable(role), v.About)
			return
		}
		fmt.Fprintf(w, "%s states a %s about %s\n", printable(role), printable(f.kind), v.About)
	})
}

// state has the keys of a role that are at hand make the statement, and returns
// how many signatures that took.
func (env *Env) state(ctx context.Context, t *app.Trust, p *app.Publisher, role string, about v1.Descriptor, s *sigstore.Statement) (made int, err error) {
	_, roles, err := t.Voices(ctx, p.Record.GUN)
	if err != nil {
		return 0, err
	}
	speaker, err := app.Role(roles, role)
	if err != nil {
		return 0, err
	}
	signers, err := p.Voice(ctx, speaker)
	if err != nil {
		return 0, err
	}
	w := p.Writer(env.Settings.Registry())
	err = env.during("attesting", func() error {
		for _, signer := range signers {
			did, err := w.Attest(ctx, p.Record.GUN, signer, about, s)
			if err != nil {
				return err
			}
			if did {
				made++
			}
		}
		return nil
	})
	return made, err
}

// predicate returns what is stated, and about what.
func (env *Env) predicate(ctx context.Context, r ref.Reference, top v1.Descriptor, f attestFlags) ([]byte, v1.Descriptor, error) {
	if f.predicate != "" && f.platform == "" {
		b, err := env.readPredicate(f.predicate)
		return b, top, err
	}
	progress := env.startProgress("reading " + r.String())
	defer progress.finish()
	m, err := env.Settings.Images(progress.add).Open(ctx, r.String(), f.platform)
	if err != nil {
		return nil, v1.Descriptor{}, err
	}
	b, err := env.makePredicate(ctx, m, f)
	return b, m.Manifest, err
}

func (env *Env) makePredicate(ctx context.Context, m *image.Image, f attestFlags) ([]byte, error) {
	switch {
	case f.sbom:
		return env.sbomPredicate(ctx, m, f.kind)
	case f.scan:
		return env.scanPredicate(ctx, m)
	}
	return env.readPredicate(f.predicate)
}
