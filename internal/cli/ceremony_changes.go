package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"plimsoll/internal/app"
	"plimsoll/internal/fault"
	"plimsoll/internal/ref"
	"plimsoll/internal/trust"
)

// changes reads the flags that name roles and keys.
func (f *beginFlags) changes(ctx context.Context, t *app.Trust, p *app.Publisher, gun ref.GUN, ch *trust.Changes) (err error) {
	known := &knownKeys{publisher: p}
	if known.chains, err = readChains(f.attestations); err != nil {
		return err
	}
	if !f.init {
		if known.trusted, err = inspect(ctx, t, gun); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, known.trusted.Close()) }()
	}
	if err := f.roles(ctx, known, ch); err != nil {
		return err
	}
	return f.replacements(ctx, known, ch)
}

// roles reads --key, --threshold and --path.
func (f *beginFlags) roles(ctx context.Context, known *knownKeys, ch *trust.Changes) error {
	list := &roleList{}
	for _, one := range []struct {
		flag   string
		values []string
		set    func(r *trust.RoleConfig, value string) error
	}{
		{"--key", f.keys, func(r *trust.RoleConfig, name string) error {
			k, err := known.key(ctx, name)
			r.Keys = append(r.Keys, k)
			return err
		}},
		{"--threshold", f.thresholds, func(r *trust.RoleConfig, text string) (err error) {
			if r.Threshold, err = strconv.Atoi(text); err != nil || r.Threshold < 1 {
				return fault.Errorf(fault.Usage, "--threshold %s=%s: want ROLE=N", r.Name, text)
			}
			return nil
		}},
		{"--path", f.paths, func(r *trust.RoleConfig, pattern string) error {
			r.Paths = append(r.Paths, pattern)
			return nil
		}},
	} {
		for _, value := range one.values {
			role, rest, err := pair(one.flag, value)
			if err == nil {
				err = one.set(list.of(role), rest)
			}
			if err != nil {
				return err
			}
		}
	}
	for _, r := range list.all {
		ch.Roles = append(ch.Roles, *r)
	}
	return nil
}

func (f *beginFlags) replacements(ctx context.Context, known *knownKeys, ch *trust.Changes) error {
	for _, flag := range f.replace {
		old, name, err := pair("--replace", flag)
		if err != nil {
			return err
		}
		was, err := known.key(ctx, old)
		if err != nil {
			return err
		}
		k, err := known.key(ctx, name)
		if err != nil {
			return err
		}
		ch.Replace = append(ch.Replace, trust.Replacement{Old: was.Fingerprint, New: k})
	}
	for _, name := range f.remove {
		k, err := known.key(ctx, name)
		if err != nil {
			return err
		}
		ch.Replace = append(ch.Replace, trust.Replacement{Old: k.Fingerprint})
	}
	return nil
}

// pair splits a flag's value at its first equals sign.
func pair(flag, value string) (left, right string, err error) {
	left, right, ok := strings.Cut(value, "=")
	if !ok || left == "" || right == "" {
		return "", "", fault.Errorf(fault.Usage, "%s %q: want two parts with = between them", flag, value)
	}
	return left, right, nil
}

// roleList are roles in the order in which they were named.
type roleList struct{ all []*trust.RoleConfig }

func (l *roleList) of(role string) *trust.RoleConfig {
	for _, r := range l.all {
		if r.Name == role {
			return r
		}
	}
	l.all = append(l.all, &trust.RoleConfig{Name: role})
	return l.all[len(l.all)-1]
}

// knownKeys finds the keys that a command line names.
type knownKeys struct {
	publisher *app.Publisher
	trusted   *trust.Trusted      // nil before there is a collection
	chains    map[string][][]byte // what tokens prove, by fingerprint
}

// key returns the key that name stands for: a fingerprint of one that the
// repository has, a URI, or the file of a public key.
func (n *knownKeys) key(ctx context.Context, name string) (*trust.Key, error) {
	if strings.HasPrefix(name, "sha256:") {
		if n.trusted == nil {
			return nil, fault.Errorf(fault.Usage, "key %q: the repository has no keys yet; name a URI or a file", name)
		}
		return n.trusted.FindKey(ctx, name)
	}
	k, err := someKey(ctx, n.publisher, name)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", name, err)
	}
	if chain := n.chains[k.Fingerprint]; chain != nil {
		k.Attestation = chain
	}
	return k, nil
}
