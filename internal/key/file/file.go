// Package file keeps signing keys in encrypted files: file:PATH names a PKCS#8
// private key (RFC 5958) in PEM "ENCRYPTED PRIVATE KEY", which openssl opens
// too, and PATH.pub beside it holds the public key.
//
// A key in a file can be copied, whatever guards it; a key in a token cannot.
// So a file must be its owner's alone (mode 0600), is never overwritten, and an
// unencrypted one is refused.
package file

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"plimsoll/internal/fault"
	"plimsoll/internal/key"
)

// Scheme is the URI scheme of keys in files.
const Scheme = "file"

// Config is what a provider needs.
type Config struct {
	// Passphrase opens and encrypts every key. If it is empty, Prompter is asked.
	Passphrase string
	// Prompter asks for a passphrase; nil if there is nobody to ask.
	Prompter key.Prompter
}

// Provider opens, makes and lists keys in files. It may be used concurrently if
// its Prompter may.
type Provider struct{ config Config }

var _ key.Provider = (*Provider)(nil)

// New returns a provider of keys in files.
func New(c Config) *Provider { return &Provider{c} }

// Open decrypts the key in the file that uri names. It is NotFound if there is
// no such file; Unavailable if others than the owner can read it, or the
// passphrase is wrong or missing; Invalid if it does not hold an encrypted key
// or PATH.pub is another key's.
func (p *Provider) Open(ctx context.Context, uri string) (key.Signer, error) {
	path, err := pathOf(uri)
	if err != nil {
		return nil, err
	}
	der, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	passphrase, err := p.passphrase(ctx, "passphrase of the key "+quote(path))
	if err != nil {
		return nil, fmt.Errorf("open key %q: %w", path, err)
	}
	defer clear(passphrase)
	private, err := decrypt(der, passphrase)
	if err != nil {
		return nil, fmt.Errorf("open key %q: %w", path, err)
	}
	s := &signer{private: private, path: path}
	if err := matchPublic(path, private.Public()); err != nil {
		return nil, err
	}
	return s, nil
}

// Generate makes a new key, asks twice for a passphrase where none is
// configured, and writes PATH (mode 0600) and PATH.pub. It makes the folder if
// there is none (mode 0700), and is a Conflict if either file exists.
func (p *Provider) Generate(ctx context.Context, uri string, algorithm key.Algorithm) (key.Signer, error) {
	path, err := pathOf(uri)
	if err != nil {
		return nil, err
	}
	if err := vacant(path); err != nil {
		return nil, err
	}
	passphrase, err := p.newPassphrase(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("generate key %q: %w", path, err)
	}
	defer clear(passphrase)
	private, err := generate(algorithm)
	if err != nil {
		return nil, err
	}
	sealed, err := encrypt(private, passphrase)
	if err != nil {
		return nil, fmt.Errorf("generate key %q: %w", path, err)
	}
	public, err := key.MarshalPublic(private.Public())
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("generate key %q: %w", path, err)
	}
	if err := writePair(path, sealed, public); err != nil {
		return nil, err
	}
	return &signer{private: private, path: path}, nil
}

// pathOf returns the path that uri names. file:PATH and file:///PATH are taken.
func pathOf(uri string) (string, error) {
	scheme, path, ok := strings.Cut(uri, ":")
	if !ok || !strings.EqualFold(scheme, Scheme) {
		return "", fault.Errorf(fault.Invalid, "key %q is not a file: URI", uri)
	}
	if rest, ok := strings.CutPrefix(path, "//"); ok {
		if !strings.HasPrefix(rest, "/") {
			return "", fault.Errorf(fault.Invalid, "key %q names a host: write file:PATH", uri)
		}
		path = rest
	}
	if path == "" || strings.ContainsRune(path, 0) {
		return "", fault.Errorf(fault.Invalid, "key %q names no file: write file:PATH", uri)
	}
	return filepath.Clean(path), nil
}
