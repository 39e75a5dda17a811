package key

import (
	"context"
	"maps"
	"slices"
	"strings"

	"plimsoll/internal/fault"
)

// Providers are the providers by URI scheme ("file", "pkcs11", "piv"). They may be used
// concurrently if each of them may.
type Providers map[string]Provider

// Open returns the signer that uri names, as [Provider.Open] says. A scheme that
// nobody provides is Invalid.
func (p Providers) Open(ctx context.Context, uri string) (Signer, error) {
	provider, err := p.provider(uri)
	if err != nil {
		return nil, err
	}
	return provider.Open(ctx, uri)
}

// Generate makes the key that uri names, as [Provider.Generate] says. An
// unknown scheme or algorithm is Invalid.
func (p Providers) Generate(ctx context.Context, uri string, algorithm Algorithm) (Signer, error) {
	provider, err := p.provider(uri)
	if err != nil {
		return nil, err
	}
	if _, err := ParseAlgorithm(string(algorithm)); err != nil {
		return nil, err
	}
	return provider.Generate(ctx, uri, algorithm)
}

// GenerateWith is Generate for a key with policies. It is Invalid if policies are
// given for a key that has none of its own, as one in a file has not.
func (p Providers) GenerateWith(ctx context.Context, uri string, algorithm Algorithm, policies Policies) (Signer, error) {
	if policies == (Policies{}) {
		return p.Generate(ctx, uri, algorithm)
	}
	provider, err := p.provider(uri)
	if err != nil {
		return nil, err
	}
	if _, err := ParseAlgorithm(string(algorithm)); err != nil {
		return nil, err
	}
	with, ok := provider.(PolicyProvider)
	if !ok {
		scheme, _, _ := strings.Cut(uri, ":")
		return nil, fault.Errorf(fault.Invalid, "keys of %s: have no PIN and touch policies of their own; those of piv: have", strings.ToLower(scheme))
	}
	return with.GenerateWith(ctx, uri, algorithm, policies)
}

// List returns the keys below uri, as [Provider.List] says. An unknown scheme is
// Invalid.
func (p Providers) List(ctx context.Context, uri string) ([]Info, error) {
	provider, err := p.provider(uri)
	if err != nil {
		return nil, err
	}
	return provider.List(ctx, uri)
}

// Schemes returns the schemes that are provided, in order.
func (p Providers) Schemes() []string { return slices.Sorted(maps.Keys(p)) }

func (p Providers) provider(uri string) (Provider, error) {
	known := strings.Join(p.Schemes(), ":, ") + ":"
	scheme, _, ok := strings.Cut(uri, ":")
	if !ok {
		err := fault.Errorf(fault.Invalid, "no scheme in %q; known are %s", cut(uri), known)
		return nil, fault.Hint(err, "if it is a file: file:%s", cut(uri))
	}
	if provider, ok := p[strings.ToLower(scheme)]; ok {
		return provider, nil
	}
	return nil, fault.Errorf(fault.Invalid, "key URI has the unknown scheme %q; known are %s", cut(scheme), known)
}

// cut shortens text from outside for a message.
func cut(s string) string {
	const most = 100
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
