//go:build cgo

package pkcs11

import (
	"context"
	"errors"
	"sync"

	"plimsoll/internal/key"
)

// Provider opens, makes and lists keys in tokens. It may be used concurrently if
// its Prompter may.
type Provider struct {
	config Config

	mu      sync.Mutex
	modules map[string]*module // by path; those in use
}

var _ key.Provider = (*Provider)(nil)

// New returns a provider of keys in tokens. It loads no module yet.
func New(c Config) *Provider { return &Provider{config: c} }

// Open logs in to the token that uri means and returns the signer for its key.
// It is Invalid if uri is malformed or means several tokens or keys, NotFound if
// there is no such key, and Unavailable if there is no such module or token, the
// PIN is missing, wrong or locked, or the token fails.
func (p *Provider) Open(ctx context.Context, uri string) (key.Signer, error) {
	u, err := parseURI(uri)
	if err != nil {
		return nil, err
	}
	s, err := p.open(ctx, u, false)
	if err != nil {
		return nil, err
	}
	if err := s.login(ctx, u); err != nil {
		return nil, errors.Join(err, s.close())
	}
	k, err := openKey(ctx, s, u)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return k, nil
}

// notify tells a person something, if there is one.
func (p *Provider) notify(message string) {
	if n, ok := p.config.Prompter.(key.Notifier); ok {
		n.Notify(message)
	}
}
