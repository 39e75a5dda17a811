package cli

import (
	"context"
	"fmt"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
	"plimsoll/internal/trust"
	"plimsoll/internal/trust/envelope"
)

// signFormats signs images that were just signed in the trust data of their
// repository, in the other formats that the repository's settings name, and
// returns those.
func (env *Env) signFormats(ctx context.Context, t *app.Trust, p *app.Publisher, role string, images ...trust.Image) ([]string, error) {
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
	n := 0
	for i := range images {
		n += envelope.Signatures(formats, &images[i]) * len(signers)
	}
	w := p.Writer(env.Settings.Registry())
	err = env.during(fmt.Sprintf("signing for %s, at most %d signatures", listed(formats), n), func() error {
		for i := range images {
			for _, s := range signers {
				if _, err := w.Sign(ctx, gun, s, formats, &images[i]); err != nil {
					return fmt.Errorf("%s is signed in its trust data, but not for all of %s: %w", images[i].Digest, listed(formats), err)
				}
			}
		}
		return nil
	})
	if err != nil {
		if fault.HintOf(err) == "" {
			err = fault.Hint(err, "sign it again: what is done is not done twice")
		}
		return nil, err
	}
	return formats, nil
}
