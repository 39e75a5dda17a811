package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/key/pkcs11"
)

const aboutKeys = `A key is named by a URI:

  file:PATH       an encrypted PKCS#8 file; its passphrase comes from
                  PLIMSOLL_KEY_PASSPHRASE or is asked for
  pkcs11:token=LABEL;object=NAME
                  a key in a token (RFC 7512); its PIN comes from pin-source in
                  the URI, from PLIMSOLL_PKCS11_PIN, or is asked for; the module
                  is module-path in the URI, PLIMSOLL_PKCS11_MODULE, or found`

func newKey(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make, list and examine signing keys in tokens and files",
		Long:  "Make, list and examine signing keys in tokens and files.\n\n" + aboutKeys,
		Example: "  plimsoll key generate 'pkcs11:token=release;object=root'\n" +
			"  plimsoll key generate file:keys/targets.pem\n  plimsoll key list",
	}
	cmd.AddCommand(newKeyGenerate(env), newKeyList(env), newKeyAttest(env))
	return cmd
}

func newKeyGenerate(env *Env) *cobra.Command {
	algorithm := string(key.ECDSAP256)
	cmd := &cobra.Command{
		Use:   "generate URI",
		Short: "Make a key, in the token where there is one",
		Long: "Make a key, in the token where there is one, and say how it is named. With -o pem the public key\n" +
			"is written instead, for whoever is to delegate a role to it.\n\n" + aboutKeys,
		Example: "  plimsoll key generate 'pkcs11:token=release;object=root'\n" +
			"  plimsoll key generate file:keys/targets.pem --algorithm ed25519\n" +
			"  plimsoll key generate file:keys/security.pem -o pem > security.pub.pem",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.keyGenerate(cmd.Context(), args[0], algorithm)
		},
	}
	cmd.Flags().StringVar(&algorithm, "algorithm", algorithm, "ecdsa-p256, which every reader of signatures takes, or ed25519")
	return cmd
}

// generated is what key generate says of a new key.
type generated struct {
	key.Info
	PublicKey string `json:"publicKey"` // PEM, for those who trust the key
}

func (env *Env) keyGenerate(ctx context.Context, uri, name string) (err error) {
	algorithm, err := key.ParseAlgorithm(name)
	if err != nil {
		return fault.As(fault.Usage, err)
	}
	if err := env.knowsForm("table", "json", "pem"); err != nil {
		return err
	}
	signer, err := app.Keys(env).Generate(ctx, uri, algorithm)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, signer.Close()) }()
	described, ok := signer.(key.Described)
	if !ok {
		return fmt.Errorf("the key %q was made, but is not described", uri)
	}
	info := described.Info()
	public, err := key.MarshalPublic(signer.Public())
	if err != nil {
		return err
	}
	if env.output == "pem" {
		_, err := env.Out.Write(public)
		return err
	}
	return env.print(generated{info, string(public)}, func(w io.Writer) {
		fmt.Fprintf(w, "URI\t%s\nAlgorithm\t%s\nFingerprint\t%s\nWhere\t%s\nExtractable\t%s\n", // #nosec G705 -- a terminal, not a page
			printable(info.URI), info.Algorithm, info.Fingerprint, printable(info.Where), extractable(info))
	})
}

func newKeyList(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "list [URI]",
		Short: "List the keys in tokens, in a folder, or everywhere",
		Long: "List the keys below URI: pkcs11: for all tokens, pkcs11:token=LABEL for one, file:FOLDER for files.\n" +
			"Without URI, those in all tokens and in the folder keys of --data. No PIN and no passphrase is\n" +
			"used, but for a token that the URI names and that shows nothing without one.",
		Example: "  plimsoll key list\n  plimsoll key list pkcs11:token=release\n  plimsoll key list file:keys -o json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			infos, err := env.keys(cmd.Context(), args)
			if err != nil {
				return err
			}
			return env.printKeys(infos)
		},
	}
}

// keys lists the keys below the URI in args or, without one, everywhere; there,
// a place that does not exist is no error, nor are tokens that cannot be reached.
func (env *Env) keys(ctx context.Context, args []string) ([]key.Info, error) {
	providers := app.Keys(env)
	if len(args) == 1 {
		return providers.List(ctx, args[0])
	}
	tokens, err := providers.List(ctx, "pkcs11:")
	if fault.Is(err, fault.Unavailable) && ctx.Err() == nil {
		fmt.Fprintf(env.Err, "plimsoll: note: no tokens are listed: %s\n", printable(err.Error()))
		if hint := fault.HintOf(err); hint != "" && !errors.Is(err, pkcs11.ErrNoModule) {
			fmt.Fprintf(env.Err, "plimsoll: hint: %s\n", printable(hint))
		}
	} else if err != nil {
		return nil, err
	}
	files, err := providers.List(ctx, "file:"+filepath.Join(env.Settings.Data, "keys"))
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	return append(tokens, files...), nil
}

func (env *Env) printKeys(infos []key.Info) error {
	if infos == nil {
		infos = []key.Info{}
	}
	return env.print(infos, func(w io.Writer) {
		if len(infos) == 0 {
			fmt.Fprintln(w, "no keys")
			return
		}
		fmt.Fprintln(w, "FINGERPRINT\tALGORITHM\tEXTRACTABLE\tWHERE\tURI")
		for _, i := range infos {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", i.Fingerprint, i.Algorithm, extractable(i), printable(i.Where), printable(i.URI)) // #nosec G705 -- a terminal, not a page
		}
	})
}

// unattested is what key attest says of a key that cannot be attested.
type unattested struct {
	URI         string `json:"uri"`
	Fingerprint string `json:"fingerprint"`
	Attested    bool   `json:"attested"`
	Reason      string `json:"reason"`
}

func newKeyAttest(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "attest URI",
		Short: "Show a token's proof that it made a key",
		Long: "Show the proof, signed by the token's maker, that a key was made in the token and cannot leave it.\n" +
			"Neither a file nor PKCS#11 has such a proof: for their keys this says so and ends with exit code 4.",
		Example: "  plimsoll key attest 'pkcs11:token=release;object=root'",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return env.keyAttest(cmd.Context(), args[0]) },
	}
}

func (env *Env) keyAttest(ctx context.Context, uri string) error {
	if err := env.checkOutput(); err != nil {
		return err
	}
	providers := app.Keys(env)
	infos, err := providers.List(ctx, uri)
	switch {
	case err != nil:
		return err
	case len(infos) == 0:
		return fault.Hint(fault.Errorf(fault.NotFound, "no key %q", uri), "plimsoll key list")
	case len(infos) > 1:
		return fault.Hint(fault.Errorf(fault.Invalid, "%q names %d keys", uri, len(infos)), "name one of them: plimsoll key list '%s'", uri)
	}
	u := unattested{URI: infos[0].URI, Fingerprint: infos[0].Fingerprint, Reason: cannotAttest(uri)}
	if env.output == "json" {
		if err := env.print(u, nil); err != nil {
			return err
		}
	}
	err = fault.Errorf(fault.Untrusted, "%q is not attested: %s", u.URI, u.Reason)
	return fault.Hint(err, "only a PIV token, such as a YubiKey, attests its keys; the URIs that this build opens are %s:", strings.Join(providers.Schemes(), ":, "))
}

func cannotAttest(uri string) string {
	if strings.HasPrefix(strings.ToLower(uri), "file:") {
		return "a key in a file can be copied, so nothing can prove where it is"
	}
	return "PKCS#11 has no attestation: that the key cannot leave its token is only what its module says"
}

// checkOutput refuses a form of output before something is done that cannot be
// taken back.
func (env *Env) checkOutput() error {
	if env.output != "table" && env.output != "json" {
		return fault.Hint(fault.Errorf(fault.Usage, "unknown output form %q", env.output), "this command knows table and json")
	}
	return nil
}

// extractable returns the answer to "can the private key be read out?".
func extractable(i key.Info) string {
	switch {
	case i.Extractable == nil:
		return "unknown without a PIN"
	case *i.Extractable:
		return "yes"
	}
	return "no"
}

// short returns a fingerprint cut for a table; -o json has it whole.
func short(fingerprint string) string {
	const keep = len("sha256:") + 16
	if len(fingerprint) > keep {
		return fingerprint[:keep] + "…"
	}
	return fingerprint
}
