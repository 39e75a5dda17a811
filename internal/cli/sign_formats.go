package cli

import (
	"context"
	"fmt"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
	"plimsoll/internal/trust"
)

// signFormats signs m, which was just signed in the trust data of its
// repository, in the other formats that the repository's settings name, and
// returns them.
func (env *Env) signFormats(ctx context.Context, t *app.Trust, p *app.Publisher, role string, m *trust.Image) ([]string, error) {
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
	w := p.Writer(env.Settings.Registry())
	err = env.during("signing for "+listed(formats), func() error {
		for _, s := range signers {
			if _, err := w.Sign(ctx, gun, s, formats, m); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		err = fmt.Errorf("%s is signed in its trust data, but not for all of %s: %w", m.Digest, listed(formats), err)
		if fault.HintOf(err) == "" {
			err = fault.Hint(err, "sign it again: what is done is not done twice")
		}
		return nil, err
	}
	return formats, nil
}
