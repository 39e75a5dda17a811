package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

// maxPublicKey bounds a file with a public key, in bytes.
const maxPublicKey = 64 << 10

// rekeying is a command that gives keys to a role.
type rekeying struct {
	uris, with []string
	threshold  int
	action     string // what is said afterwards
	do         func(ctx context.Context, p *app.Publisher, roles []string, ks []*trust.Key) error
}

// run opens the keys and publishes.
func (r *rekeying) run(env *Env, cmd *cobra.Command, name string, roles []string) error {
	gun, err := ref.ParseGUN(name)
	if err != nil {
		return err
	}
	return env.publish(cmd, gun, r.with, func(_ *app.Trust, p *app.Publisher) error {
		ks, err := someKeys(cmd.Context(), p, r.uris)
		if err != nil {
			return err
		}
		if err := env.publishing(gun, func() error { return r.do(cmd.Context(), p, roles, ks) }); err != nil {
			return err
		}
		return env.printPublished(published{gun, r.action, roles, fingerprints(ks)})
	})
}

func newTrustDelegate(env *Env) *cobra.Command {
	var paths []string
	r := &rekeying{action: "delegated to"}
	r.do = func(ctx context.Context, p *app.Publisher, roles []string, ks []*trust.Key) error {
		return p.Delegate(ctx, trust.RoleConfig{Name: roles[0], Keys: ks, Threshold: r.threshold, Paths: paths})
	}
	cmd := &cobra.Command{
		Use:   "delegate GUN ROLE",
		Short: "Let others sign as a role of their own",
		Long: `Make a role, such as releases or security, with keys of its own, or give one that is
there other keys or paths. A policy can then demand that several roles name an image. A key
is the URI of one that is held here, or the file of a public key (PEM) that is held elsewhere.
A role that takes several signatures, by keys that are held in several places, signs in a
ceremony: plimsoll trust ceremony begin GUN FILE --sign IMAGE --as ROLE.`,
		Example: "  plimsoll trust delegate registry.example.com/team/app releases --key file:keys/releases.pem\n" +
			"  plimsoll trust delegate registry.example.com/team/app security --key alice.pub.pem --key bob.pub.pem --threshold 2",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error { return r.run(env, cmd, args[0], args[1:]) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&r.uris, "key", nil, "URI of a key, or file of a public key; repeat it for several")
	flags.IntVar(&r.threshold, "threshold", 1, "how many of the keys must sign")
	flags.StringArrayVar(&paths, "path", nil, "pattern of what the role may name (default: all tags and digests)")
	withFlag(cmd, &r.with)
	return cmd
}

func newTrustRotate(env *Env) *cobra.Command {
	r := &rekeying{action: "has new keys for"}
	r.do = func(ctx context.Context, p *app.Publisher, roles []string, ks []*trust.Key) error {
		return p.Rotate(ctx, roles, ks, r.threshold)
	}
	cmd := &cobra.Command{
		Use:   "rotate GUN ROLE[,ROLE…]",
		Short: "Give roles new keys",
		Long: `Give roles new keys in place of all that they have. New keys of root, targets, snapshot or
timestamp take a new root, signed by the old root keys and by the new ones. Several roles that
have one key, as after init, are rotated at once: one root, one touch. Where the root keys are
not all here: plimsoll trust ceremony.`,
		Example: "  plimsoll trust rotate registry.example.com/team/app targets,snapshot,timestamp --key file:keys/new.pem\n" +
			"  plimsoll trust rotate registry.example.com/team/app root --key 'pkcs11:token=safe2;object=root'",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.run(env, cmd, args[0], strings.Split(args[1], ","))
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&r.uris, "key", nil, "URI of a new key, or file of a public key; repeat it for several")
	flags.IntVar(&r.threshold, "threshold", 0, "how many of the keys must sign (default: as before)")
	withFlag(cmd, &r.with)
	return cmd
}

func withFlag(cmd *cobra.Command, to *[]string) {
	cmd.Flags().StringArrayVar(to, "with", nil, "URI of a key to sign with, beside those that are remembered")
}

// someKeys returns the keys that names stand for: URIs, or files of public keys.
func someKeys(ctx context.Context, p *app.Publisher, names []string) ([]*trust.Key, error) {
	if len(names) == 0 {
		return nil, fault.Hint(fault.Errorf(fault.Usage, "no --key is given"), "plimsoll key list shows those that are here")
	}
	var all []*trust.Key
	for _, name := range names {
		k, err := someKey(ctx, p, name)
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", name, err)
		}
		all = append(all, k)
	}
	return all, nil
}

func someKey(ctx context.Context, p *app.Publisher, name string) (*trust.Key, error) {
	if strings.Contains(name, ":") {
		return p.Hold(ctx, name)
	}
	f, err := os.Open(name) // #nosec G304 -- the person's own file
	if err != nil {
		return nil, fault.Hint(fault.As(fault.Unavailable, err), "a key is a URI, as in file:keys/releases.pem, or the file of a public key")
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPublicKey))
	if err != nil {
		return nil, fault.As(fault.Unavailable, err)
	}
	pub, err := key.ParsePublic(text)
	if err != nil {
		return nil, err
	}
	return trust.NewKey(pub)
}
