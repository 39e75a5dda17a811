package cli

import (
	"context"
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

// Forms of output beside table and json: what cosign and notation are handed.
const (
	formPublicKey   = "public-key"
	formCertificate = "certificate"
)

// formatsState is what trust formats says: what readers of those formats need.
type formatsState struct {
	GUN     ref.GUN     `json:"gun"`
	Formats []string    `json:"formats"`
	Keys    []formatKey `json:"keys"`
}

// formatKey is a key that may sign images, as readers of other formats want it.
type formatKey struct {
	Key         string    `json:"key"` // fingerprint
	Role        string    `json:"role"`
	PublicKey   string    `json:"publicKey"`             // PEM, for cosign
	Certificate string    `json:"certificate,omitempty"` // PEM, the last of the chain that is kept here, for notation's trust store
	Subject     string    `json:"subject,omitempty"`     // of the key's own certificate
	Expires     time.Time `json:"expires,omitzero"`      // of the key's own certificate
}

func newTrustFormats(env *Env) *cobra.Command {
	var with []string
	var certificate string
	cmd := &cobra.Command{
		Use:   "formats GUN [FORMAT,… | none]",
		Short: "Say in which other formats images are signed as well",
		Long: `Say in which formats images are signed besides the repository's trust data, for readers that
know only those: sigstore (cosign 3) and notation. From then on, sign writes them too, whoever
signs. Without a list, say what is set; -o public-key and -o certificate write what those readers
ask for, in PEM.

notation asks for a certificate of each key. The key signs one for itself the first time, unless
--certificate names a chain that an authority issued for it.`,
		Example: "  plimsoll trust formats registry.example.com/team/app sigstore,notation\n" +
			"  plimsoll trust formats registry.example.com/team/app notation --certificate chain.pem\n" +
			"  plimsoll trust formats registry.example.com/team/app -o public-key > app.pub",
		Args: cobra.RangeArgs(1, 2),
		RunE: withGUN(func(cmd *cobra.Command, gun ref.GUN, args []string) error {
			if len(args) == 1 && certificate == "" {
				if err := env.knowsForm("table", "json", formPublicKey, formCertificate); err != nil {
					return err
				}
				return env.showFormats(cmd.Context(), env.Settings.Trust(env), gun)
			}
			f := formatsChange{certificate: certificate}
			if len(args) == 2 {
				var err error
				if f.formats, err = envelope.ParseFormats(args[1]); err != nil {
					return err
				}
				f.set = true
			}
			return env.publish(cmd, gun, with, func(t *app.Trust, p *app.Publisher) error {
				if err := env.setFormats(cmd.Context(), t, p, f); err != nil {
					return err
				}
				return env.showFormats(cmd.Context(), t, gun)
			})
		}),
	}
	cmd.Flags().StringVar(&certificate, "certificate", "", "file of the certificates that an authority issued for a key, in PEM, the key's own first")
	withFlag(cmd, &with)
	return cmd
}

// formatsChange is what is to be set.
type formatsChange struct {
	formats     []string
	set         bool   // formats is given, if only as none
	certificate string // file; "" for none
}

// setFormats keeps a chain, if there is one, and then publishes the list, if
// there is one. A list that no key could fulfil is refused before.
func (env *Env) setFormats(ctx context.Context, t *app.Trust, p *app.Publisher, f formatsChange) error {
	_, roles, err := t.Voices(ctx, p.Record.GUN)
	if err != nil {
		return err
	}
	if f.certificate != "" {
		if err := env.certify(p, roles, f.certificate); err != nil {
			return err
		}
	}
	if !f.set {
		return nil
	}
	if slices.Contains(f.formats, envelope.Notation) {
		if err := forNotation(roles); err != nil {
			return err
		}
		if err := env.certificates(ctx, p, roles); err != nil {
			return err
		}
	}
	return env.publishing(p.Record.GUN, func() error { return p.SetFormats(ctx, f.formats) })
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
		if !slices.ContainsFunc(r.Keys, func(k *trust.Key) bool { return p.Record.URI(k.Fingerprint) != "" }) {
			continue // another's role: its holder makes them
		}
		signers, err := p.Voice(ctx, r)
		if err != nil {
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

func (env *Env) showFormats(ctx context.Context, t *app.Trust, gun ref.GUN) error {
	formats, roles, err := t.Voices(ctx, gun)
	if err != nil {
		return err
	}
	v := formatsState{GUN: gun, Formats: append([]string{}, formats...)}
	for _, r := range roles {
		for _, k := range r.Keys {
			one, err := newFormatKey(t, gun, r.Role, k)
			if err != nil {
				return fmt.Errorf("key %s: %w", k.Fingerprint, err)
			}
			v.Keys = append(v.Keys, one)
		}
	}
	if env.output == formPublicKey || env.output == formCertificate {
		return env.printPEM(&v)
	}
	return env.print(v, func(w io.Writer) { formatsTable(w, &v) })
}

// printPEM writes the public keys, or the certificates, and nothing else.
func (env *Env) printPEM(v *formatsState) error {
	var all strings.Builder
	for _, k := range v.Keys {
		if env.output == formCertificate {
			all.WriteString(k.Certificate)
		} else {
			all.WriteString(k.PublicKey)
		}
	}
	if all.Len() == 0 {
		err := fault.Errorf(fault.NotFound, "no certificate for a key of %q is kept on this machine", v.GUN)
		return fault.Hint(err, "plimsoll trust formats %s notation makes one where the key is held", v.GUN)
	}
	if _, err := io.WriteString(env.Out, all.String()); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}

// newFormatKey returns k with the certificates that are kept here, if there are.
func newFormatKey(t *app.Trust, gun ref.GUN, role string, k *trust.Key) (formatKey, error) {
	public, err := key.MarshalPublic(k.Public)
	if err != nil {
		return formatKey{}, err
	}
	one := formatKey{Key: k.Fingerprint, Role: role, PublicKey: string(public)}
	text, err := t.Records.Certificates(gun, k.Fingerprint)
	if fault.Is(err, fault.NotFound) {
		return one, nil
	} else if err != nil {
		return one, err
	}
	chain, err := codesign.ParsePEM(text)
	if err != nil {
		return one, err
	}
	one.Certificate = string(codesign.EncodePEM(chain[len(chain)-1:]))
	one.Subject, one.Expires = chain[0].Subject.String(), chain[0].NotAfter
	return one, nil
}

func formatsTable(w io.Writer, v *formatsState) {
	also := "in no other format"
	if len(v.Formats) > 0 {
		also = "in " + strings.Join(v.Formats, ", ") + " as well"
	}
	fmt.Fprintf(w, "images of %s are signed in its trust data, and %s\n", v.GUN, also)
	if len(v.Formats) == 0 {
		return
	}
	fmt.Fprint(w, "\nROLE\tKEY\tCERTIFICATE\tEXPIRES\n")
	for _, k := range v.Keys {
		subject, expires := "none here", ""
		if k.Subject != "" {
			subject, expires = k.Subject, date(k.Expires)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", printable(k.Role), short(k.Key), oneLine(subject), expires)
	}
}
