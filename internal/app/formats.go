package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/oci"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
	"plimsoll/internal/trust/codesign"
	"plimsoll/internal/trust/envelope"
)

// Voices returns the formats in which images of gun are signed besides TUF, and
// the roles that may speak about them. Nothing is decided by it, so expired
// metadata is taken.
func (t *Trust) Voices(ctx context.Context, gun ref.GUN) (formats []string, roles []trust.Speaker, err error) {
	pins, err := t.Known(gun)
	if err != nil {
		return nil, nil, err
	}
	trusted, err := t.Client.Inspect(ctx, gun, pins)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, trusted.Close()) }()
	formats, err = trusted.Formats()
	return formats, trusted.Speakers(), err
}

// Role returns the role of that name out of roles; NotFound if there is none.
func Role(roles []trust.Speaker, name string) (trust.Speaker, error) {
	i := slices.IndexFunc(roles, func(s trust.Speaker) bool { return s.Role == name })
	if i < 0 {
		return trust.Speaker{}, fault.Errorf(fault.NotFound, "there is no role %q", name)
	}
	return roles[i], nil
}

// Voice returns signers of a role, as many as its threshold demands and no more;
// fewer if not all are at hand, and Unavailable if none is. They stay the
// publisher's.
func (p *Publisher) Voice(ctx context.Context, role trust.Speaker) ([]key.Signer, error) {
	var signers []key.Signer
	var problems []error
	for _, k := range role.Keys {
		if len(signers) == role.Threshold {
			break
		}
		s, err := p.Signer(ctx, k)
		if ctx.Err() != nil {
			return nil, fault.As(fault.Unavailable, ctx.Err())
		}
		if err == nil {
			signers = append(signers, s)
		} else if !fault.Is(err, fault.NotFound) {
			problems = append(problems, err)
		}
	}
	if len(signers) > 0 {
		return signers, nil
	}
	err := fault.Errorf(fault.Unavailable, "no key of the role %q is at hand", role.Role)
	if len(problems) > 0 {
		return nil, fmt.Errorf("%w: %w", err, errors.Join(problems...))
	}
	return nil, fault.Hint(err, "name it with --key URI")
}

// Writer returns a writer of signatures in other formats than TUF, with the
// certificates that this machine keeps.
func (p *Publisher) Writer(registry *oci.Client) *envelope.Writer {
	return &envelope.Writer{Registry: registry, Chain: p.Chain, Now: time.Now()}
}

// Chain returns the certificates that stand for the signer's key in this
// repository. The first time, it has the key sign one for itself and keeps it.
func (p *Publisher) Chain(ctx context.Context, signer key.Signer) ([]*x509.Certificate, error) {
	print, err := key.Fingerprint(signer.Public())
	if err != nil {
		return nil, err
	}
	text, err := p.trust.Records.Certificates(p.Record.GUN, print)
	if err == nil {
		chain, err := codesign.ParsePEM(text)
		if err != nil {
			return nil, fmt.Errorf("the certificates of key %s: %w", print, err)
		}
		return chain, nil
	} else if !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	c, err := codesign.SelfSigned(ctx, signer, string(p.Record.GUN), time.Now())
	if err != nil {
		return nil, err
	}
	chain := []*x509.Certificate{c}
	return chain, p.trust.Records.SaveCertificates(p.Record.GUN, print, codesign.EncodePEM(chain))
}

// Certify keeps a chain that an authority issued for one of the keys; it returns
// that key's fingerprint.
func (p *Publisher) Certify(roles []trust.Speaker, text []byte) (string, error) {
	chain, err := codesign.ParsePEM(text)
	if err != nil {
		return "", err
	}
	if err := codesign.Ordered(chain); err != nil {
		return "", err
	}
	for _, r := range roles {
		for _, k := range r.Keys {
			if codesign.Certifies(chain[0], k.Public) {
				return k.Fingerprint, p.trust.Records.SaveCertificates(p.Record.GUN, k.Fingerprint, codesign.EncodePEM(chain))
			}
		}
	}
	return "", fault.Errorf(fault.Invalid, "certificate %q is for none of the keys that may sign images of %q", chain[0].Subject, p.Record.GUN)
}
