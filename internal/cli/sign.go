package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
	"plimsoll/internal/image"
	"plimsoll/internal/key/file"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

// signed is what sign says.
type signed struct {
	GUN        ref.GUN          `json:"gun"`
	Role       string           `json:"role"`
	Images     []signedImage    `json:"images"`
	Signatures []app.Signatures `json:"signatures"` // of the trust data
	Formats    []string         `json:"formats,omitempty"`
}

type signedImage struct {
	Image     string     `json:"image"`
	Tag       string     `json:"tag,omitempty"`
	Digest    ref.Digest `json:"digest"`
	Platforms []string   `json:"platforms"`
}

func newSign(env *Env) *cobra.Command {
	var role string
	var uris []string
	cmd := &cobra.Command{
		Use:   "sign IMAGE...",
		Short: "Sign images in a registry, after reading every byte of them",
		Long: `Sign images of one repository in a registry. Every layer of every platform is read first; an image
that arrives broken, or whose config claims other layers than it has, is not signed, and nothing else
is either. What is signed is the tag, the digest, and the platforms' manifests, configs and chains of
layers. However many images are signed in one command, a key signs once for each file of metadata that
changes; how often is said before a token is asked.`,
		Example: "  plimsoll sign registry.example.com/team/app:1.4\n" +
			"  plimsoll sign registry.example.com/team/app:1.4 registry.example.com/team/app:latest\n" +
			"  plimsoll sign registry.example.com/team/app:1.4 --as security --key file:keys/security.pem",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			names, err := inOneRepository(args)
			if err != nil {
				return err
			}
			return env.publish(cmd, names[0].GUN(), uris, func(t *app.Trust, p *app.Publisher) error {
				return env.sign(cmd.Context(), t, p, names, role)
			})
		},
	}
	asFlag(cmd, &role)
	cmd.Flags().StringArrayVar(&uris, "key", nil, "URI of a key to sign with, beside those that are remembered")
	return cmd
}

func asFlag(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "as", "", "role to sign as (default: targets, or the one delegated role whose key is held here)")
}

// inOneRepository returns the references that names are: images of one
// repository, whose trust data speaks for all of them.
func inOneRepository(names []string) ([]ref.Reference, error) {
	var all []ref.Reference
	tags := map[string]ref.Digest{}
	for _, name := range names {
		r, err := inRegistry(name)
		if err != nil {
			return nil, err
		}
		if len(all) > 0 && r.GUN() != all[0].GUN() {
			err := fault.Errorf(fault.Usage, "%q and %q are in different repositories, which have trust data of their own", all[0], r)
			return nil, fault.Hint(err, "sign the images of each repository with one command")
		}
		if d, twice := tags[r.Tag]; twice && r.Tag != "" && d != r.Digest {
			return nil, fault.Errorf(fault.Usage, "the tag %q is given twice, for different images", r.Tag)
		}
		tags[r.Tag] = r.Digest
		all = append(all, r)
	}
	return all, nil
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

func (env *Env) sign(ctx context.Context, t *app.Trust, p *app.Publisher, names []ref.Reference, role string) error {
	gun := names[0].GUN()
	role, err := env.role(ctx, t, p, gun, role)
	if err != nil {
		return err
	}
	what := names[0].String()
	if len(names) > 1 {
		what = fmt.Sprintf("%d images of %s", len(names), gun)
	}
	progress := env.startProgress("reading " + what)
	images, err := app.NewExaminer(env.Settings.Images(progress.add)).Examine(ctx, names...)
	progress.finish()
	if err != nil {
		return err
	}
	if err := env.during("signing "+what, func() error { return p.Sign(ctx, role, images...) }); err != nil {
		return err
	}
	v := signed{GUN: gun, Role: role, Signatures: p.Signatures}
	if v.Formats, err = env.signFormats(ctx, t, p, role, images); err != nil {
		return err
	}
	return env.printSigned(v, names, images)
}

func (env *Env) printSigned(v signed, names []ref.Reference, images []trust.Image) error {
	for i, m := range images {
		one := signedImage{Image: names[i].String(), Tag: m.Tag, Digest: m.Digest}
		for _, p := range m.Platforms {
			one.Platforms = append(one.Platforms, p.Platform)
		}
		v.Images = append(v.Images, one)
	}
	return env.print(v, func(w io.Writer) {
		for _, m := range v.Images {
			fmt.Fprintf(w, "signed %s as %s: %s\n", printable(m.Image), v.Role, m.Digest)
		}
		if len(v.Formats) > 0 {
			fmt.Fprintf(w, "also signed for %s\n", listed(v.Formats))
		}
	})
}

// announce says how often keys in tokens will be asked to sign: each time may be
// a touch. Keys in files cost nobody anything.
func (env *Env) announce(all []app.Signatures) {
	for _, s := range all {
		if strings.HasPrefix(s.URI, file.Scheme+":") {
			continue
		}
		times := "once"
		if s.Count > 1 {
			times = fmt.Sprintf("%d times", s.Count)
		}
		env.Notify(fmt.Sprintf("key %s will be asked to sign %s", s.URI, times))
	}
}

// role returns the role to sign as: the one that was asked for, or else the one
// that the keys held here speak for.
func (env *Env) role(ctx context.Context, t *app.Trust, p *app.Publisher, gun ref.GUN, asked string) (role string, err error) {
	if asked != "" {
		return asked, nil
	}
	err = env.during("reading trust data of "+string(gun), func() error {
		role, err = heldRole(ctx, t, p, gun)
		return err
	})
	return role, err
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
	var held []string
	for _, s := range trusted.Speakers() {
		if slices.ContainsFunc(s.Keys, p.Held) {
			held = append(held, s.Role)
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
