//go:build cgo

package pkcs11

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/miekg/pkcs11"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

// List describes the P-256 and Ed25519 keys in all tokens that uri means, as far
// as they show them without a PIN. Only where uri names its token and that shows
// none, it logs in, because a PIN must not be tried on a token that nobody named.
// Where all tokens are meant, a module or slot that cannot be looked at is told to
// the [key.Notifier].
func (p *Provider) List(ctx context.Context, uri string) (_ []key.Info, err error) {
	u, err := parseURI(uri)
	if err != nil {
		return nil, err
	}
	found, err := p.survey(ctx, u)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, found.release()) }()
	if len(found.matching) == 0 && len(u.path) > 0 {
		return nil, found.none(u)
	}
	if !namesToken(u) {
		for _, problem := range found.problems {
			p.notify("not everything is listed: " + problem.Error())
		}
	}
	var all []key.Info
	for _, t := range found.matching {
		infos, err := p.listToken(ctx, t, u)
		if err != nil {
			return nil, err
		}
		all = append(all, infos...)
	}
	return all, nil
}

func (p *Provider) listToken(ctx context.Context, t token, u uri) (all []key.Info, err error) {
	s, err := p.session(ctx, t, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	all, err = s.list(ctx, u)
	if err != nil || len(all) > 0 || !namesToken(u) {
		return all, err
	}
	if err := s.login(ctx, u); err != nil {
		return nil, err
	}
	return s.list(ctx, u)
}

// list describes the keys that can be seen now, each once: by its private half
// where that shows, else by its public one. Keys of other kinds are left out.
func (s *session) list(ctx context.Context, u uri) ([]key.Info, error) {
	seen := make(map[string]key.Info)
	err := s.call(ctx, func() error {
		for _, class := range []uint{pkcs11.CKO_PUBLIC_KEY, pkcs11.CKO_PRIVATE_KEY} {
			keys, err := s.find(class, u)
			if err != nil {
				return err
			}
			for _, o := range keys {
				pub, err := s.public(o)
				if fault.Is(err, fault.Invalid) {
					continue
				}
				if err != nil {
					return err
				}
				info, err := s.token.describe(pub, o, u)
				if err != nil {
					return err
				}
				if class == pkcs11.CKO_PRIVATE_KEY {
					info.Extractable = s.extractable(o.handle)
				}
				seen[info.URI+info.Fingerprint] = info
			}
		}
		return nil
	})
	if err != nil {
		return nil, explain(err, "list keys", s.token)
	}
	all := make([]key.Info, 0, len(seen))
	for _, info := range seen {
		all = append(all, info)
	}
	slices.SortFunc(all, func(a, b key.Info) int { return cmp.Compare(a.URI, b.URI) })
	return all, nil
}
