package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"plimsoll/internal/app"
	"plimsoll/internal/durable"
	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

// proof is what key attest says.
type proof struct {
	URI         string           `json:"uri"`
	Fingerprint string           `json:"fingerprint"`
	Attested    bool             `json:"attested"`
	Reason      string           `json:"reason,omitempty"` // why it is not
	Attestation *key.Attestation `json:"attestation,omitempty"`
}

func newKeyAttest(env *Env) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "attest URI",
		Short: "Show and verify a token's proof that it made a key",
		Long: "Show the proof, signed by the token's maker, that a key was made in the token and cannot leave it, and\n" +
			"with which PIN and touch policies. Yubico's roots are built in; others are named with\n" +
			"--attestation-roots. Only piv: has such proofs. For a key that is not proven, this says why and ends\n" +
			"with exit code 4. --out writes the certificates, the key's first, for whoever wants to verify them\n" +
			"with another program.",
		Example: "  plimsoll key attest 'piv:slot=9c'\n  plimsoll key attest 'piv:serial=12345678;slot=9c' --out root.attestation.pem",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return env.keyAttest(cmd.Context(), args[0], out) },
	}
	cmd.Flags().StringVar(&out, "out", "", "file to write the certificates to, in PEM")
	return cmd
}

func (env *Env) keyAttest(ctx context.Context, uri, out string) error {
	if err := env.checkOutput(); err != nil {
		return err
	}
	makers, err := env.Settings.TokenMakers()
	if err != nil {
		return err
	}
	providers := app.Keys(env)
	info, err := env.oneKey(ctx, providers, uri)
	if err != nil {
		return err
	}
	a := proof{URI: info.URI, Fingerprint: info.Fingerprint}
	if !isPIV(uri) {
		return env.unattested(a, errors.New(cannotAttest(uri)))
	}
	var chain [][]byte
	err = env.during("asking the token for its proof", func() (err error) {
		a.Attestation, chain, err = attestURI(ctx, providers, info.URI, makers)
		return err
	})
	if fault.Is(err, fault.Untrusted) {
		return env.unattested(a, err)
	}
	if err != nil {
		return err
	}
	a.Attested = true
	if out != "" {
		if err := writeChain(out, chain); err != nil {
			return err
		}
	}
	return env.print(a, a.table)
}

// oneKey describes the one key that uri names.
func (env *Env) oneKey(ctx context.Context, providers key.Providers, uri string) (key.Info, error) {
	infos, err := providers.List(ctx, uri)
	switch {
	case err != nil:
		return key.Info{}, err
	case len(infos) == 0:
		return key.Info{}, fault.Hint(fault.Errorf(fault.NotFound, "no key %q", uri), "plimsoll key list")
	case len(infos) > 1:
		return key.Info{}, fault.Hint(fault.Errorf(fault.Invalid, "%q names %d keys", uri, len(infos)), "name one of them: plimsoll key list '%s'", uri)
	}
	return infos[0], nil
}

// unattested writes why a key is not attested, as a result and as an error.
func (env *Env) unattested(a proof, cause error) error {
	a.Reason = cause.Error()
	if env.output == "json" {
		if err := env.print(a, nil); err != nil {
			return err
		}
	}
	err := fault.Errorf(fault.Untrusted, "%q is not attested: %w", a.URI, cause)
	if fault.HintOf(err) != "" {
		return err
	}
	return fault.Hint(err, "only a PIV token, such as a YubiKey, attests its keys: plimsoll key generate 'piv:slot=9c'")
}

func (a proof) table(w io.Writer) {
	p := a.Attestation
	fmt.Fprintf(w, "URI\t%s\nFingerprint\t%s\nAttested\tby %s\nToken\t%s, serial %s, firmware %s\nSlot\t%s\nPIN\t%s\nTouch\t%s\n", // #nosec G705 -- a terminal, not a page
		printable(a.URI), a.Fingerprint, p.Maker, cmp.Or(p.FormFactor, "of unknown form"), cmp.Or(p.Serial, "unknown"), p.Firmware,
		cmp.Or(p.Slot, "unknown"), p.PIN, p.Touch)
}

// attestURI opens a key and has its token prove it.
func attestURI(ctx context.Context, providers key.Providers, uri string, makers key.AttestationRoots) (_ *key.Attestation, _ [][]byte, err error) {
	signer, err := providers.Open(ctx, uri)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, signer.Close()) }()
	return attest(ctx, signer, makers)
}

// attest returns what a key's token proves, and the proof; Untrusted if it proves
// nothing, or nobody in makers vouches for it.
func attest(ctx context.Context, signer key.Signer, makers key.AttestationRoots) (*key.Attestation, [][]byte, error) {
	attester, ok := signer.(key.Attester)
	if !ok {
		return nil, nil, fault.Errorf(fault.Untrusted, "keys of this kind are not attested")
	}
	chain, err := attester.Attest(ctx)
	if err != nil {
		return nil, nil, err
	}
	a, err := key.VerifyAttestation(signer.Public(), chain, makers)
	return a, chain, err
}

func writeChain(path string, chain [][]byte) error {
	var text bytes.Buffer
	for _, der := range chain {
		if err := pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			return fmt.Errorf("write attestation: %w", err)
		}
	}
	if err := durable.WriteFile(path, text.Bytes(), 0o644); err != nil {
		return fault.As(fault.Unavailable, fmt.Errorf("write attestation: %w", err))
	}
	return nil
}

func cannotAttest(uri string) string {
	if strings.HasPrefix(strings.ToLower(uri), "file:") {
		return "a key in a file can be copied, so nothing can prove where it is"
	}
	return "PKCS#11 has no attestation: that the key cannot leave its token is only what its module says"
}
