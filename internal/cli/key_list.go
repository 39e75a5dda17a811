package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/key/piv"
	"plimsoll/internal/key/pkcs11"
)

func newKeyList(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "list [URI]",
		Short: "List the keys in tokens, in a folder, or everywhere",
		Long: "List the keys below URI: pkcs11: or piv: for all tokens, pkcs11:token=LABEL or piv:serial=NUMBER for\n" +
			"one, file:FOLDER for files. Without URI, those in all tokens and in the folder keys of --data. No PIN\n" +
			"and no passphrase is used, but for a PKCS#11 token that the URI names and that shows nothing without\n" +
			"one. Without URI, a key that is reached both as piv: and as pkcs11: is listed as piv:.",
		Example: "  plimsoll key list\n  plimsoll key list piv:\n  plimsoll key list pkcs11:token=release\n  plimsoll key list file:keys -o json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := env.checkOutput(); err != nil {
				return err
			}
			var all []listedKey
			err := env.during("looking at the tokens", func() (err error) {
				all, err = env.keys(cmd.Context(), args)
				return err
			})
			if err != nil {
				return err
			}
			return env.printKeys(all)
		},
	}
}

// listedKey is a key and what its token proves about it, if that is believed.
type listedKey struct {
	key.Info
	Attestation *key.Attestation `json:"attestation,omitempty"`
}

// keys lists the keys below the URI in args or, without one, everywhere; there,
// a place that does not exist is no error, nor are tokens that cannot be reached.
func (env *Env) keys(ctx context.Context, args []string) ([]listedKey, error) {
	providers := app.Keys(env)
	if len(args) == 1 {
		infos, err := providers.List(ctx, args[0])
		if err != nil {
			return nil, err
		}
		return env.attested(ctx, providers, infos)
	}
	var infos []key.Info
	for _, uri := range []string{piv.Scheme + ":", pkcs11.Scheme + ":"} {
		some, err := providers.List(ctx, uri)
		if fault.Is(err, fault.Unavailable) && ctx.Err() == nil {
			env.unlisted(uri, err)
		} else if err != nil {
			return nil, err
		}
		infos = append(infos, slices.DeleteFunc(some, func(i key.Info) bool {
			return slices.ContainsFunc(infos, func(known key.Info) bool { return known.Fingerprint == i.Fingerprint })
		})...)
	}
	files, err := providers.List(ctx, "file:"+filepath.Join(env.Settings.Data, "keys"))
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	return env.attested(ctx, providers, append(infos, files...))
}

// unlisted says why the tokens of a scheme are not in a list of all keys. That
// the machine has nothing to reach them with needs no advice.
func (env *Env) unlisted(scheme string, err error) {
	env.tell(fmt.Sprintf("plimsoll: note: no %s tokens are listed: %s", scheme, printable(err.Error())))
	if hint := fault.HintOf(err); hint != "" && !errors.Is(err, pkcs11.ErrNoModule) && !errors.Is(err, piv.ErrNoDaemon) {
		env.tell("plimsoll: hint: " + printable(hint))
	}
}

// attested adds to each key what its token proves.
func (env *Env) attested(ctx context.Context, providers key.Providers, infos []key.Info) ([]listedKey, error) {
	makers, err := env.Settings.TokenMakers()
	if err != nil {
		return nil, err
	}
	all := make([]listedKey, len(infos))
	for i, info := range infos {
		all[i].Info = info
		if !isPIV(info.URI) {
			continue
		}
		all[i].Attestation, _, err = attestURI(ctx, providers, info.URI, makers)
		if err != nil && !fault.Is(err, fault.Untrusted) {
			return nil, err
		}
	}
	return all, nil
}

// isPIV reports whether a key lives in a token that may attest it.
func isPIV(uri string) bool {
	scheme, _, _ := strings.Cut(uri, ":")
	return strings.EqualFold(scheme, piv.Scheme)
}

func (env *Env) printKeys(all []listedKey) error {
	if all == nil {
		all = []listedKey{}
	}
	return env.print(all, func(w io.Writer) {
		if len(all) == 0 {
			fmt.Fprintln(w, "no keys")
			return
		}
		fmt.Fprintln(w, "FINGERPRINT\tALGORITHM\tEXTRACTABLE\tATTESTED\tWHERE\tURI")
		for _, l := range all {
			by := "no"
			if l.Attestation != nil {
				by = "by " + l.Attestation.Maker
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", l.Fingerprint, l.Algorithm, extractable(l.Info), by, printable(l.Where), printable(l.URI)) // #nosec G705 -- a terminal, not a page
		}
	})
}
