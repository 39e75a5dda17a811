package cli

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
	"plimsoll/internal/trust/codesign"
	"plimsoll/internal/trust/envelope"
)

// formatsState is what trust formats says.
type formatsState struct {
	GUN          ref.GUN            `json:"gun"`
	Formats      []string           `json:"formats"`
	Certificates []certificateState `json:"certificates"`
}

type certificateState struct {
	Key         string    `json:"key"` // fingerprint
	Role        string    `json:"role"`
	Subject     string    `json:"subject"`
	Expires     time.Time `json:"expires"`
	Certificate string    `json:"certificate"` // PEM, the last of the chain: what notation's trust store takes
}

func newTrustFormats(env *Env) *cobra.Command {
	var with []string
	var certificate string
	cmd := &cobra.Command{
		Use:   "formats GUN [FORMAT,… | none]",
		Short: "Say in which other formats images are signed as well",
		Long: `Say in which formats images are signed besides the repository's trust data, for readers that
know only those: sigstore (cosign 3) and notation. From then on, sign writes them too, whoever
signs. Without a list, say what is set.

notation asks for a certificate of each key. The key signs one for itself the first time, unless
--certificate names a chain that an authority issued for it.`,
		Example: "  plimsoll trust formats registry.example.com/team/app sigstore,notation\n" +
			"  plimsoll trust formats registry.example.com/team/app notation --certificate chain.pem\n" +
			"  plimsoll trust formats registry.example.com/team/app -o json | jq -r '.certificates[].certificate'",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			gun, err := ref.ParseGUN(args[0])
			if err != nil {
				return err
			}
			return env.publish(cmd, gun, with, func(t *app.Trust, p *app.Publisher) error {
				if len(args) == 2 || certificate != "" {
					if err := env.setFormats(cmd.Context(), t, p, args[1:], certificate); err != nil {
						return err
					}
				}
				return env.showFormats(cmd.Context(), t, p)
			})
		},
	}
	cmd.Flags().StringVar(&certificate, "certificate", "", "file of the certificates that an authority issued for a key, in PEM, the key's own first")
	withFlag(cmd, &with)
	return cmd
}

// setFormats keeps a chain, if there is one, and then publishes the list, if
// there is one. A list that no key could fulfil is refused before.
func (env *Env) setFormats(ctx context.Context, t *app.Trust, p *app.Publisher, list []string, certificate string) error {
	var formats []string
	var err error
	if len(list) > 0 {
		if formats, err = envelope.ParseFormats(list[0]); err != nil {
			return err
		}
	}
	_, roles, err := t.Voices(ctx, p.Record.GUN)
	if err != nil {
		return err
	}
	if certificate != "" {
		if err := env.certify(p, roles, certificate); err != nil {
			return err
		}
	}
	if len(list) == 0 {
		return nil
	}
	if slices.Contains(formats, envelope.Notation) {
		if err := forNotation(roles); err != nil {
			return err
		}
		if err := env.certificates(ctx, p, roles); err != nil {
			return err
		}
	}
	return env.publishing(p.Record.GUN, func() error { return p.SetFormats(ctx, formats) })
}

func (env *Env) certify(p *app.Publisher, roles []trust.Speaker, name string) error {
	f, err := os.Open(name) // #nosec G304 -- the person's own file
	if err != nil {
		return fault.As(fault.Unavailable, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxCertificateFile))
	if err != nil {
		return fault.As(fault.Unavailable, err)
	}
	if _, err := p.Certify(roles, text); err != nil {
		return fmt.Errorf("certificates in %q: %w", name, err)
	}
	return nil
}

// maxCertificateFile bounds a file of certificates, in bytes; a little more than
// is taken, so that one which is too long is told.
const maxCertificateFile = 256<<10 + 1

// forNotation refuses roles with keys that notation does not know.
func forNotation(roles []trust.Speaker) error {
	for _, r := range roles {
		for _, k := range r.Keys {
			if a, err := key.AlgorithmOf(k.Public); err != nil || a != key.ECDSAP256 {
				err := fault.Errorf(fault.Invalid, "key %s of the role %q is %s, and the Notary Project knows no such signatures", k.Fingerprint, r.Role, a)
				return fault.Hint(err, "plimsoll trust rotate gives the role a P-256 key; sigstore takes the one it has")
			}
		}
	}
	return nil
}

// certificates makes the certificates of the keys that are held here.
func (env *Env) certificates(ctx context.Context, p *app.Publisher, roles []trust.Speaker) error {
	for _, r := range roles {
		signers, err := p.Voice(ctx, r)
		if fault.Is(err, fault.Unavailable) && p.Record.URI(r.Keys[0].Fingerprint) == "" {
			continue // another's role: its holder makes them
		} else if err != nil {
			return err
		}
		for _, s := range signers {
			if _, err := p.Chain(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (env *Env) showFormats(ctx context.Context, t *app.Trust, p *app.Publisher) error {
	formats, roles, err := t.Voices(ctx, p.Record.GUN)
	if err != nil {
		return err
	}
	v := formatsState{GUN: p.Record.GUN, Formats: append([]string{}, formats...), Certificates: []certificateState{}}
	for _, r := range roles {
		for _, k := range r.Keys {
			text, err := t.Records.Certificates(p.Record.GUN, k.Fingerprint)
			if fault.Is(err, fault.NotFound) {
				continue
			} else if err != nil {
				return err
			}
			chain, err := codesign.ParsePEM(text)
			if err != nil {
				return fmt.Errorf("the certificates of key %s: %w", k.Fingerprint, err)
			}
			last := []*x509.Certificate{chain[len(chain)-1]}
			v.Certificates = append(v.Certificates, certificateState{k.Fingerprint, r.Role, chain[0].Subject.String(), chain[0].NotAfter, string(codesign.EncodePEM(last))})
		}
	}
	return env.print(v, func(w io.Writer) { formatsTable(w, &v) })
}

func formatsTable(w io.Writer, v *formatsState) {
	also := "in no other format"
	if len(v.Formats) > 0 {
		also = "in " + strings.Join(v.Formats, ", ") + " as well"
	}
	fmt.Fprintf(w, "images of %s are signed in its trust data, and %s\n", v.GUN, also)
	if len(v.Certificates) == 0 {
		return
	}
	fmt.Fprint(w, "\nROLE\tKEY\tCERTIFICATE\tEXPIRES\n")
	for _, c := range v.Certificates {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", printable(c.Role), short(c.Key), printable(c.Subject), date(c.Expires))
	}
}
