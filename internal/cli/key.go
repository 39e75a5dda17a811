package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

const aboutKeys = `A key is named by a URI:

  file:PATH       an encrypted PKCS#8 file; its passphrase comes from
                  PLIMSOLL_KEY_PASSPHRASE or is asked for
  pkcs11:token=LABEL;object=NAME
                  a key in a token (RFC 7512); its PIN comes from pin-source in
                  the URI, from PLIMSOLL_PKCS11_PIN, or is asked for; the module
                  is module-path in the URI, PLIMSOLL_PKCS11_MODULE, or found
  piv:serial=NUMBER;slot=9c
                  a key in a PIV token such as a YubiKey, which can prove that it
                  made the key (attestation); serial may be left out where there
                  is one token; slots are 9a, 9c, 9d, 9e, 82 to 95; its PIN comes
                  from PLIMSOLL_PIV_PIN, or is asked for; pcscd must run`

func newKey(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make, list and examine signing keys in tokens and files",
		Long:  "Make, list and examine signing keys in tokens and files.\n\n" + aboutKeys,
		Example: "  plimsoll key generate 'piv:slot=9c'\n  plimsoll key generate file:keys/targets.pem\n" +
			"  plimsoll key list\n  plimsoll key attest 'piv:slot=9c'",
	}
	cmd.AddCommand(newKeyGenerate(env), newKeyList(env), newKeyAttest(env))
	return cmd
}

func newKeyGenerate(env *Env) *cobra.Command {
	algorithm := string(key.ECDSAP256)
	var pin, touch string
	cmd := &cobra.Command{
		Use:   "generate URI",
		Short: "Make a key, in the token where there is one",
		Long: "Make a key, in the token where there is one, and say how it is named. With -o pem the public key\n" +
			"is written instead, for whoever is to delegate a role to it.\n\n" +
			"A key of piv: wants a PIN once for each run of a command, and a touch for every signature. For keys\n" +
			"of a root leave it so: policies ask for --touch-policy always, since malware on the machine can give a\n" +
			"PIN, but no touch. A key that signs much may have cached (a touch serves for 15 seconds) or never.\n" +
			"What a key was made with cannot be changed. The token's management key is the factory's, lies in the\n" +
			"token behind the PIN, comes from PLIMSOLL_PIV_MANAGEMENT_KEY (hex), or is asked for.\n\n" + aboutKeys,
		Example: "  plimsoll key generate 'piv:slot=9c'\n" +
			"  plimsoll key generate 'piv:serial=12345678;slot=9a' --touch-policy cached\n" +
			"  plimsoll key generate 'pkcs11:token=release;object=root'\n" +
			"  plimsoll key generate file:keys/targets.pem --algorithm ed25519\n" +
			"  plimsoll key generate file:keys/security.pem -o pem > security.pub.pem",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			policies, err := key.ParsePolicies(pin, touch)
			if err != nil {
				return fault.As(fault.Usage, err)
			}
			return env.keyGenerate(cmd.Context(), args[0], algorithm, policies)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&algorithm, "algorithm", algorithm, "ecdsa-p256, which every reader of signatures takes, or ed25519 (YubiKeys from 5.7)")
	flags.StringVar(&pin, "pin-policy", "", "of piv: never, once or always (default once)")
	flags.StringVar(&touch, "touch-policy", "", "of piv: never, always or cached (default always)")
	return cmd
}

// generated is what key generate says of a new key.
type generated struct {
	listedKey
	PublicKey string `json:"publicKey"` // PEM, for those who trust the key
}

func (env *Env) keyGenerate(ctx context.Context, uri, name string, policies key.Policies) (err error) {
	algorithm, err := key.ParseAlgorithm(name)
	if err != nil {
		return fault.As(fault.Usage, err)
	}
	if err := env.knowsForm("table", "json", "pem"); err != nil {
		return err
	}
	makers, err := env.Settings.TokenMakers()
	if err != nil {
		return err
	}
	var signer key.Signer
	err = env.during("making the key", func() (err error) {
		signer, err = app.Keys(env).GenerateWith(ctx, uri, algorithm, policies)
		return err
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, signer.Close()) }()
	described, ok := signer.(key.Described)
	if !ok {
		return fmt.Errorf("the key %q was made, but is not described", uri)
	}
	public, err := key.MarshalPublic(signer.Public())
	if err != nil {
		return err
	}
	if env.output == "pem" {
		_, err := env.Out.Write(public)
		return err
	}
	l := listedKey{Info: described.Info()}
	l.Attestation, _, _ = attest(ctx, signer, makers) // why not is what key attest says
	return env.print(generated{l, string(public)}, func(w io.Writer) {
		fmt.Fprintf(w, "URI\t%s\nAlgorithm\t%s\nFingerprint\t%s\nWhere\t%s\nExtractable\t%s\n", // #nosec G705 -- a terminal, not a page
			printable(l.URI), l.Algorithm, l.Fingerprint, printable(l.Where), extractable(l.Info))
		if l.Attestation != nil {
			fmt.Fprintf(w, "Attested\tby %s: PIN %s, touch %s\n", l.Attestation.Maker, l.Attestation.PIN, l.Attestation.Touch) // #nosec G705 -- a terminal, not a page
		}
	})
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
