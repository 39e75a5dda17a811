package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

type initFlags struct {
	root, targets, snapshot, timestamp, expires []string
	threshold                                   int
}

func newTrustInit(env *Env) *cobra.Command {
	var f initFlags
	cmd := &cobra.Command{
		Use:   "init GUN",
		Short: "Start a repository's trust data",
		Long: `Start a repository's trust data. The root keys say who holds all other keys; give one
for each holder, and keep them in tokens. The repository's key signs daily: images, and that
nothing newer was held back (targets, snapshot and timestamp).`,
		Example: "  plimsoll trust init registry.example.com/team/app --root-key 'pkcs11:token=safe;object=root' --key file:keys/app.pem\n" +
			"  plimsoll trust init registry.example.com/team/app --root-key file:a.pem --root-key file:b.pem --root-threshold 2 --key file:c.pem",
		Args: cobra.ExactArgs(1),
		RunE: withGUN(func(cmd *cobra.Command, gun ref.GUN, args []string) error {
			return env.trustInit(cmd, gun, f)
		}),
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.root, "root-key", nil, "URI of a root key; repeat it for several")
	flags.IntVar(&f.threshold, "root-threshold", 0, "how many root keys must sign (default: more than half of them)")
	flags.StringArrayVar(&f.targets, "key", nil, "URI of the repository's key; repeat it for several")
	flags.StringArrayVar(&f.snapshot, "snapshot-key", nil, "URI of a key for snapshot (default: --key)")
	flags.StringArrayVar(&f.timestamp, "timestamp-key", nil, "URI of a key for timestamp (default: --key)")
	expiresFlag(cmd, &f.expires)
	return cmd
}

func (env *Env) trustInit(cmd *cobra.Command, gun ref.GUN, f initFlags) error {
	if len(f.root) == 0 || len(f.targets) == 0 {
		err := fault.Errorf(fault.Usage, "a repository starts with at least one --root-key and one --key")
		return fault.Hint(err, "plimsoll key generate file:keys/root.pem makes one; %s --help", cmd.CommandPath())
	}
	if f.threshold == 0 {
		f.threshold = len(f.root)/2 + 1
	}
	return env.publish(cmd, gun, nil, func(t *app.Trust, p *app.Publisher) error {
		c := trust.InitConfig{RootThreshold: f.threshold}
		ctx := cmd.Context()
		for _, keys := range []struct {
			to   *[]*trust.Key
			uris []string
		}{{&c.Root, f.root}, {&c.Targets, f.targets}, {&c.Snapshot, f.snapshot}, {&c.Timestamp, f.timestamp}} {
			var err error
			if *keys.to, err = hold(ctx, p, keys.uris); err != nil {
				return err
			}
		}
		if err := p.SetExpiries(func(r *trust.Record) error { return setExpiries(r, f.expires) }); err != nil {
			return err
		}
		if err := env.publishing(gun, func() error { return p.Init(ctx, c) }); err != nil {
			return err
		}
		pins := trust.Pins{Threshold: f.threshold, Keys: fingerprints(c.Root)}
		if err := t.Pins.Set(ctx, gun, pins, true); err != nil {
			return err
		}
		return env.printInit(gun, pins)
	})
}

// hold opens the keys at uris, one after the other.
func hold(ctx context.Context, p *app.Publisher, uris []string) ([]*trust.Key, error) {
	var all []*trust.Key
	for _, uri := range uris {
		k, err := p.Hold(ctx, uri)
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", uri, err)
		}
		all = append(all, k)
	}
	return all, nil
}

func (env *Env) printInit(gun ref.GUN, pins trust.Pins) error {
	v := struct {
		GUN  ref.GUN    `json:"gun"`
		Pins trust.Pins `json:"pins"`
	}{gun, pins}
	return env.print(v, func(w io.Writer) {
		fmt.Fprintf(w, "trust data of %s is published. Whoever is to trust it puts this into their policy:\n\n%s", gun, pinYAML(gun, pins))
	})
}

// pinYAML returns the policy's part that pins the root keys of gun.
func pinYAML(gun ref.GUN, pins trust.Pins) string {
	name := gun.Reference().Path
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		name = name[i+1:]
	}
	quoted := make([]string, 0, len(pins.Keys))
	for _, k := range pins.Keys {
		quoted = append(quoted, fmt.Sprintf("%q", k))
	}
	return fmt.Sprintf("publishers:\n  %q:\n    repositories: [%q]\n    rootKeys: {threshold: %d, keys: [%s]}\n",
		name, gun, pins.Threshold, strings.Join(quoted, ", "))
}
