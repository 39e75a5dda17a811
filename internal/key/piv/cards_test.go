package piv_test

import (
	"context"
	"crypto/x509"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
	"plimsoll/internal/key/piv"
	"plimsoll/internal/tools/softpiv"
)

// desk is a table with soft cards in a reader behind the machine's own pcscd, and
// a person who answers.
type desk struct {
	*softpiv.Daemon
	authority *softpiv.Authority
	cards     []*softpiv.Card
	person    *person
}

// sit begins pcscd with cards that are made as configured; those without a maker
// get one.
func sit(t *testing.T, configs ...softpiv.Config) *desk {
	t.Helper()
	if lack := softpiv.Missing(t.Context()); lack != "" {
		if os.Getenv("CI") == "true" {
			t.Fatalf("missing: %s", lack)
		}
		t.Skipf("missing: %s", lack)
	}
	t.Parallel()
	authority, err := softpiv.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{authority: authority, person: &person{}}
	for _, c := range configs {
		if c.Authority == nil {
			c.Authority = authority
		}
		card, err := softpiv.New(c)
		if err != nil {
			t.Fatal(err)
		}
		d.cards = append(d.cards, card)
	}
	if d.Daemon, err = softpiv.Start(t.Context(), d.cards...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// provider returns one that asks the desk's person, or has a PIN.
func (d *desk) provider(pin string) *piv.Provider {
	return piv.New(piv.Config{Socket: d.Socket, PIN: pin, Prompter: d.person})
}

// person answers questions in order, and remembers what was asked and said.
type person struct {
	mu      sync.Mutex
	answers []string
	asked   []string
	told    []string
	heard   func(string) // called when something is said
}

func (p *person) Secret(_ context.Context, prompt string) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, prompt)
	if len(p.answers) == 0 {
		return nil, fault.Errorf(fault.Unavailable, "nobody answers")
	}
	answer := p.answers[0]
	p.answers = p.answers[1:]
	return []byte(answer), nil
}

func (p *person) Notify(message string) {
	p.mu.Lock()
	p.told = append(p.told, message)
	heard := p.heard
	p.mu.Unlock()
	if heard != nil {
		heard(message)
	}
}

// was returns what was asked and what was said.
func (p *person) was() (asked, told []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked), slices.Clone(p.told)
}

// generate makes a key that is closed when the test ends.
func generate(t *testing.T, p *piv.Provider, uri string, algorithm key.Algorithm, policies key.Policies) key.Signer {
	t.Helper()
	s, err := p.GenerateWith(t.Context(), uri, algorithm, policies)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeKey(t, s) })
	return s
}

func closeKey(t *testing.T, s key.Signer) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// signs signs and verifies.
func signs(t *testing.T, s key.Signer, message string) {
	t.Helper()
	sig, err := s.Sign(t.Context(), []byte(message))
	if err != nil {
		t.Fatal(err)
	}
	if err := key.Verify(s.Public(), []byte(message), sig); err != nil {
		t.Error(err)
	}
}

// refused demands an error of a kind that says and hints something.
func refused(t *testing.T, err error, kind fault.Kind, says, hints string) {
	t.Helper()
	if !fault.Is(err, kind) || !strings.Contains(err.Error(), says) || !strings.Contains(fault.HintOf(err), hints) {
		t.Errorf("got %v: %v\nhint: %s\nwant %v: %q, hint %q", fault.KindOf(err), err, fault.HintOf(err), kind, says, hints)
	}
}

func leafOf(t *testing.T, chain [][]byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(chain[0])
	if err != nil {
		t.Fatal(err)
	}
	return c
}
