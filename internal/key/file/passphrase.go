package file

import (
	"bytes"
	"context"
	"fmt"

	"plimsoll/internal/fault"
)

const hintPassphrase = "set PLIMSOLL_KEY_PASSPHRASE, or run this on a terminal" // #nosec G101 -- a hint, not a secret

// passphrase returns the configured passphrase or asks for it. The caller clears
// it.
func (p *Provider) passphrase(ctx context.Context, prompt string) ([]byte, error) {
	if p.config.Passphrase != "" {
		return []byte(p.config.Passphrase), nil
	}
	if p.config.Prompter == nil {
		return nil, fault.Hint(fault.Errorf(fault.Unavailable, "%s: nobody to ask", prompt), hintPassphrase)
	}
	secret, err := p.config.Prompter.Secret(ctx, prompt)
	if err != nil {
		return nil, fault.Hint(err, hintPassphrase)
	}
	if err := ctx.Err(); err != nil {
		clear(secret)
		return nil, fmt.Errorf("%s: %w", prompt, err)
	}
	if len(secret) == 0 {
		return nil, fault.Errorf(fault.Unavailable, "the passphrase is empty")
	}
	return secret, nil
}

// newPassphrase returns the passphrase for a new key; where a person is asked,
// they are asked twice.
func (p *Provider) newPassphrase(ctx context.Context, path string) ([]byte, error) {
	first, err := p.passphrase(ctx, "new passphrase for the key "+quote(path))
	if err != nil || p.config.Passphrase != "" {
		return first, err
	}
	second, err := p.passphrase(ctx, "the same passphrase again")
	if err != nil {
		clear(first)
		return nil, err
	}
	defer clear(second)
	if !bytes.Equal(first, second) {
		clear(first)
		return nil, fault.Errorf(fault.Unavailable, "the two passphrases differ")
	}
	return first, nil
}

func quote(path string) string { return fmt.Sprintf("%q", path) }
