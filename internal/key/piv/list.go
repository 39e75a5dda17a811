package piv

import (
	"context"
	"errors"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

// List describes the P-256 and Ed25519 keys in all tokens, or in those and the
// slot that uri means. No PIN is needed. Where all tokens are meant, one that
// cannot be looked at is told to the [key.Notifier].
func (p *Provider) List(ctx context.Context, uri string) ([]key.Info, error) {
	u, err := parseURI(uri)
	if err != nil {
		return nil, err
	}
	s, err := p.survey(ctx, u)
	if err != nil {
		return nil, err
	}
	if u.named || u.reader != "" {
		if len(s.matching) == 0 {
			return nil, s.none(u)
		}
	} else {
		for _, problem := range s.problems {
			p.notify("not everything is listed: " + problem.Error())
		}
	}
	var all []key.Info
	for _, i := range s.matching {
		infos, err := p.listToken(ctx, i, u)
		if err != nil {
			return nil, err
		}
		all = append(all, infos...)
	}
	return all, nil
}

func (p *Provider) listToken(ctx context.Context, i identity, u uri) (all []key.Info, err error) {
	t := p.acquire(i)
	defer func() { err = errors.Join(err, t.release(ctx)) }()
	slots := allSlots()
	if u.slot != 0 {
		slots = []slot{u.slot}
	}
	err = t.do(ctx, "list keys", func() error {
		for _, s := range slots {
			k, err := t.key(ctx, s)
			if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Invalid) {
				continue
			}
			if err != nil {
				return err
			}
			info, err := t.describe(k)
			if err != nil {
				return err
			}
			all = append(all, info)
		}
		return nil
	})
	return all, err
}
