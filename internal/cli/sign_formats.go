package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
	"plimsoll/internal/trust/envelope"
)

// signFormats signs images, which were just signed in the trust data of their
// repository, in the other formats that the repository's settings name, and
// returns them.
func (env *Env) signFormats(ctx context.Context, t *app.Trust, p *app.Publisher, role string, images []trust.Image) ([]string, error) {
	gun := p.Record.GUN
	formats, roles, err := t.Voices(ctx, gun)
	if err != nil || len(formats) == 0 {
		return nil, err
	}
	speaker, err := app.Role(roles, role)
	if err != nil {
		return nil, err
	}
	signers, err := p.Voice(ctx, speaker)
	if err != nil {
		return nil, err
	}
	images = slices.Clone(images)
	slices.SortFunc(images, func(a, b trust.Image) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	images = slices.CompactFunc(images, func(a, b trust.Image) bool { return a.Digest == b.Digest })
	if err := env.announceFormats(p, signers, formats, images); err != nil {
		return nil, err
	}
	w := p.Writer(env.Settings.Registry())
	var now ref.Digest
	err = env.during("signing for "+listed(formats), func() error {
		for i := range images {
			now = images[i].Digest
			for _, s := range signers {
				if _, err := w.Sign(ctx, gun, s, formats, &images[i]); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		err = fmt.Errorf("%s is signed in its trust data, but not for all of %s: %w", now, listed(formats), err)
		if fault.HintOf(err) == "" {
			err = fault.Hint(err, "sign it again: what is done is not done twice")
		}
		return nil, err
	}
	return formats, nil
}

// announceFormats says how often the keys of signers will sign in formats, if
// nothing of it was done before.
func (env *Env) announceFormats(p *app.Publisher, signers []key.Signer, formats []string, images []trust.Image) error {
	count := 0
	for i := range images {
		count += envelope.Signatures(formats, &images[i])
	}
	var all []app.Signatures
	for _, s := range signers {
		f, err := key.Fingerprint(s.Public())
		if err != nil {
			return err
		}
		all = append(all, app.Signatures{Key: f, URI: p.Record.URI(f), Count: count})
	}
	env.announce(all)
	return nil
}
