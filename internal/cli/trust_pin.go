package cli

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

func newTrustPin(env *Env) *cobra.Command {
	var keys []string
	var threshold int
	cmd := &cobra.Command{
		Use:   "pin GUN",
		Short: "Show the root keys that a repository is known by, or say which they are",
		Long: `Show the keys of a repository's root, and what to write into a policy to trust it. What is shown
is what the registry says: compare the fingerprints with what the publisher told you by another
way. With --key, trust starts from those keys wherever no policy speaks about the repository.`,
		Example: "  plimsoll trust pin registry.example.com/team/app\n" +
			"  plimsoll trust pin registry.example.com/team/app --key sha256:9c41… --key sha256:77ab… --threshold 2",
		Args: cobra.ExactArgs(1),
		RunE: withGUN(func(cmd *cobra.Command, gun ref.GUN, args []string) error {
			if len(keys) > 0 {
				return env.setPin(cmd, gun, trust.Pins{Threshold: threshold, Keys: keys})
			}
			if cmd.Flags().Changed("threshold") {
				return fault.Errorf(fault.Usage, "--threshold goes with --key")
			}
			return env.showPin(cmd, gun)
		}),
	}
	cmd.Flags().StringArrayVar(&keys, "key", nil, "fingerprint of a root key; repeat it for several")
	cmd.Flags().IntVar(&threshold, "threshold", 1, "how many of them must have signed the root that trust starts from")
	return cmd
}

func (env *Env) setPin(cmd *cobra.Command, gun ref.GUN, pins trust.Pins) error {
	if err := env.checkOutput(); err != nil {
		return err
	}
	if err := pins.Check(); err != nil {
		return fault.Hint(fault.As(fault.Usage, err), "plimsoll trust pin %s shows the fingerprints", gun)
	}
	if err := env.Settings.Trust(env).Pins.Set(cmd.Context(), gun, pins, false); err != nil {
		return err
	}
	v := struct {
		GUN  ref.GUN    `json:"gun"`
		Pins trust.Pins `json:"pins"`
	}{gun, pins}
	return env.print(v, func(w io.Writer) {
		fmt.Fprintf(w, "%s: trust starts from %d of %d root keys\n", gun, pins.Threshold, len(pins.Keys))
	})
}

type rootState struct {
	Version   int64      `json:"version"`
	Expires   string     `json:"expires"`
	Threshold int        `json:"threshold"`
	Keys      []keyState `json:"keys"`
}

func rootStateOf(r trust.RootInfo) rootState {
	s := rootState{Version: r.Version, Expires: r.Expires.UTC().Format("2006-01-02T15:04:05Z"), Threshold: r.Threshold}
	for _, k := range r.Keys {
		s.Keys = append(s.Keys, keyState{Fingerprint: k.Fingerprint, KeyID: k.ID, Type: k.Type, Signed: k.Signed})
	}
	return s
}

func (env *Env) showPin(cmd *cobra.Command, gun ref.GUN) error {
	if err := env.checkOutput(); err != nil {
		return err
	}
	services := env.Settings.Trust(env)
	p := env.startProgress("reading trust data of " + string(gun))
	root, err := services.Client.Peek(cmd.Context(), gun)
	p.finish()
	if err != nil {
		return err
	}
	pins := trust.Pins{Threshold: root.Newest.Threshold}
	for _, k := range root.Newest.Keys {
		pins.Keys = append(pins.Keys, k.Fingerprint)
	}
	current, err := services.Pins.Pins(gun)
	if err != nil && !fault.Is(err, fault.Untrusted) {
		return err
	}
	v := struct {
		GUN    ref.GUN     `json:"gun"`
		First  rootState   `json:"first"`
		Newest rootState   `json:"newest"`
		Pinned *trust.Pins `json:"pinned,omitempty"`
	}{GUN: gun, First: rootStateOf(root.First), Newest: rootStateOf(root.Newest)}
	if err == nil {
		v.Pinned = &current
	}
	return env.print(v, func(w io.Writer) {
		fmt.Fprintf(w, "root %d of %s, expires %s, needs %d of %d keys:\n", root.Newest.Version, gun, date(root.Newest.Expires), pins.Threshold, len(pins.Keys))
		for _, k := range root.Newest.Keys {
			fmt.Fprintf(w, "  %s  %s%s\n", k.Fingerprint, k.Type, marks(k, v.Pinned))
		}
		fmt.Fprintf(w, "\nThe registry says so. If the publisher told you the same by another way, put this into the policy:\n\n%s", pinYAML(gun, pins))
	})
}

// marks says what else is known of a root key.
func marks(k trust.RoleKey, pinned *trust.Pins) string {
	var s string
	if k.Signed {
		s += "  signed it"
	}
	if pinned != nil && slices.Contains(pinned.Keys, k.Fingerprint) {
		s += "  pinned here"
	}
	return s
}
