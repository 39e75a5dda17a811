// Package piv signs with keys that live in PIV tokens with Yubico's additions: a
// YubiKey 4 or 5, or what behaves as one. A piv: URI names the key by the token's
// serial number or reader, and by the slot:
//
//	piv:serial=12345678;slot=9c
//	piv:slot=9a
//
// The token is reached through pcscd's socket, in pure Go: there is no C library
// to load. Keys are made in the token, and the token proves it ([key.Attester]).
//
// Whatever is done with a token is done in a transaction of its own, so that no
// other program comes between; at its end the token is reset, so that a PIN does
// not stay verified. Only a key whose touch is cached keeps its token for as long
// as one touch serves, since a reset would forget it.
package piv

import (
	"cmp"
	"context"
	"sync"
	"time"

	"plimsoll/internal/key"
)

// Scheme is the URI scheme of keys in PIV tokens.
const Scheme = "piv"

// DefaultSocket is where pcscd listens.
const DefaultSocket = "/run/pcscd/pcscd.comm"

// Config is what a provider needs.
type Config struct {
	// Socket is the path of pcscd's socket; [DefaultSocket] if it is empty.
	Socket string
	// PIN opens every token. If it is empty, Prompter is asked.
	PIN string
	// ManagementKey, in hex, lets keys be made in tokens that have another than the
	// factory's and do not keep it behind the PIN. If it is empty, Prompter is asked.
	ManagementKey string
	// Prompter asks for a PIN; nil if there is nobody to ask. One that is a
	// [key.Notifier] is told when a token waits for a touch.
	Prompter key.Prompter
}

// Provider opens, makes and lists keys in PIV tokens. It may be used concurrently
// if its Prompter may.
type Provider struct {
	config      Config
	touchServes time.Duration // how long a cached touch does

	mu      sync.Mutex
	tokens  map[identity]*token // those in use
	refused map[string]bool     // tokens for which a PIN was wrong
}

var (
	_ key.Provider       = (*Provider)(nil)
	_ key.PolicyProvider = (*Provider)(nil)
)

// New returns a provider of keys in PIV tokens.
func New(c Config) *Provider {
	c.Socket = cmp.Or(c.Socket, DefaultSocket)
	const cached = 15 * time.Second // Yubico, "PIV: touch policy"
	return &Provider{config: c, touchServes: cached, tokens: map[identity]*token{}, refused: map[string]bool{}}
}

func (p *Provider) notify(message string) {
	if n, ok := p.config.Prompter.(key.Notifier); ok {
		n.Notify(message)
	}
}

// Open returns the signer for the key that uri names. Its PIN is asked for when
// it signs.
func (p *Provider) Open(ctx context.Context, uri string) (key.Signer, error) {
	u, err := parseSlotURI(uri)
	if err != nil {
		return nil, err
	}
	t, err := p.choose(ctx, u)
	if err != nil {
		return nil, err
	}
	return p.open(ctx, t, u.slot)
}
