//go:build !cgo

package pkcs11

import (
	"context"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

// Provider refuses every key: this build cannot load a PKCS#11 module.
type Provider struct{}

var _ key.Provider = (*Provider)(nil)

// New returns a provider that refuses every key.
func New(Config) *Provider { return new(Provider) }

// Open is Unavailable, or Invalid if uri is malformed.
func (*Provider) Open(_ context.Context, uri string) (key.Signer, error) { return nil, refuse(uri) }

// Generate is Unavailable, or Invalid if uri is malformed.
func (*Provider) Generate(_ context.Context, uri string, _ key.Algorithm) (key.Signer, error) {
	return nil, refuse(uri)
}

// List is Unavailable, or Invalid if uri is malformed.
func (*Provider) List(_ context.Context, uri string) ([]key.Info, error) { return nil, refuse(uri) }

func refuse(uri string) error {
	if _, err := parseURI(uri); err != nil {
		return err
	}
	err := fault.Errorf(fault.Unavailable, "%w: this build of plimsoll was made without cgo and cannot load one", ErrNoModule)
	return fault.Hint(err, "build it with CGO_ENABLED=1 and a C compiler: CGO_ENABLED=1 go install ./cmd/plimsoll")
}
